// Package fakeapi is a simulated Super SIM API: an http.Handler that answers like the usage, SIM, fleet and
// network lists of the vendors, over a world of usage that it makes up from a seed.
//
// Nobody can order the real service to bill late, to lose a page token or to answer a 500 in the middle of a
// list, and nobody knows what the right sum would have been. Here both are possible:
//
//   - A World holds what happened: which SIM used how many bytes in which hour, on which network, in which country,
//     in which fleet, when the API got to know of it and when it was billed. It is the same for the same WorldConfig,
//     and it can be changed afterwards (Add, Amend, Remove), from a moment on or for all time.
//   - A Server shows a World as a vendor would at the time of its Clock: parameters, limits, error codes, page
//     tokens, credentials, concurrency. Where the documents leave something open, a switch in Options decides; the
//     zero value is the more lenient reading.
//   - Script and Inject make it misbehave at a chosen request; Flaky makes it misbehave at random, but the same way
//     for the same seed.
//   - World.Sum is the oracle: what the answers must add up to, computed by other code than the answers.
//   - Requests says what was asked, so that a test can say "at most one page again".
//
// The package imports nothing of ours on purpose. It is a second reading of the API's documents: what the client
// and it agree on, two have understood alike.
package fakeapi
