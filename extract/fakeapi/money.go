package fakeapi

import (
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in 1e-12 of its currency, so that sums are exact; it holds up to 9.2 million.
type Money int64

// decimals is how many digits behind the point a Money has.
const decimals = 12

// ParseMoney reads a plain decimal such as "0.03" exactly.
func ParseMoney(text string) (Money, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if strings.TrimPrefix(whole, "-") == "" || len(fraction) > decimals {
		return 0, fmt.Errorf("money %q: want a decimal with at most %d digits behind the point", text, decimals)
	}
	digits := whole + fraction + strings.Repeat("0", decimals-len(fraction))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("money %q: want a decimal of less than 9.2 million", text)
	}
	return Money(n), nil
}

// String is the amount as a decimal without trailing zeros: "0.03", "1.2345678", "0".
func (m Money) String() string { return string(m.append(nil)) }

func (m Money) append(b []byte) []byte {
	n := uint64(m)
	if m < 0 {
		b, n = append(b, '-'), -n
	}
	const one = 1_000_000_000_000
	b = strconv.AppendUint(b, n/one, 10)
	if n%one == 0 {
		return b
	}
	b = append(b, '.')
	for rest, digit := n%one, uint64(one/10); rest > 0; digit /= 10 {
		b = append(b, byte('0'+rest/digit))
		rest %= digit
	}
	return b
}
