package extract

import "fmt"

// Provider is who serves the API, and what it allows. Twilio sold the business to KORE: the same path, parameters
// and fields, but another address, another way to sign in and a smaller page.
type Provider struct {
	// Name is twilio or kore.
	Name string

	// BaseURL is where the API lives; the paths begin behind it.
	BaseURL string

	// TokenURL is where client credentials are exchanged for a token (OAuth2). Empty means HTTP Basic.
	TokenURL string

	// PageSize is the ceiling of a page of usage records, ListPageSize that of the lists of SIMs, fleets and networks.
	PageSize, ListPageSize int

	// Rate is how many requests a second the provider is asked at most; 0 is no limit.
	Rate float64
}

// ProviderByName is the profile of a provider that is known by name.
func ProviderByName(name string) (Provider, error) {
	switch name {
	case "twilio":
		return Provider{
			Name:         name,
			BaseURL:      "https://supersim.twilio.com",
			PageSize:     1000,
			ListPageSize: 1000,
		}, nil
	case "kore":
		return Provider{
			Name:         name,
			BaseURL:      "https://supersim.api.korewireless.com",
			TokenURL:     "https://api.korewireless.com/api-services/v1/auth/token",
			PageSize:     249,
			ListPageSize: 1000,
			Rate:         10,
		}, nil
	}
	return Provider{}, fmt.Errorf("provider %q: want twilio or kore", name)
}
