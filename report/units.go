package report

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

const nbsp = "\u00a0"

// bytesText is a number of bytes as people say it, by thousands: limits and prices go by megabytes of a million bytes.
func bytesText(n int64) string {
	const units = "kMGTPE"
	value, unit := float64(n), -1
	for value >= 999.5 || value <= -999.5 {
		value, unit = value/1000, unit+1
	}
	if unit < 0 {
		return fmt.Sprintf("%d%sB", n, nbsp)
	}
	digits := 0
	switch size := max(value, -value); {
	case size < 9.995:
		digits = 2
	case size < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + nbsp + units[unit:unit+1] + "B"
}

// exact is a number with its thousands apart.
func exact(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "−", text[1:]
	}
	return sign + thousands(text)
}

// thousands sets the thousands of digits apart.
func thousands(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// decimal is a number of Postgres with so many digits behind the point; what is not a number stays as it is.
func decimal(text string, digits int) string {
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return text
	}
	rounded := n.FloatString(digits)
	sign := ""
	if strings.HasPrefix(rounded, "-") {
		sign, rounded = "−", rounded[1:]
	}
	whole, part, found := strings.Cut(rounded, ".")
	if found {
		part = "." + part
	}
	return sign + thousands(whole) + part
}

// amountText is money without its currency: cents, or more digits where there is less than one unit.
func amountText(text string) string {
	n, ok := new(big.Rat).SetString(text)
	if ok && n.Sign() != 0 && new(big.Rat).Abs(n).Cmp(big.NewRat(1, 1)) < 0 {
		return decimal(text, 4)
	}
	return decimal(text, 2)
}

// purse is money by currency. Currencies are never added to each other.
type purse map[string]*big.Rat

// amount is one currency of a purse, exact.
type amount struct{ Amount, Unit string }

func (p purse) add(text, unit string) {
	n, ok := new(big.Rat).SetString(text)
	if !ok || unit == "" {
		return
	}
	if p[unit] == nil {
		p[unit] = new(big.Rat)
	}
	p[unit].Add(p[unit], n)
}

// amounts are its currencies by name.
func (p purse) amounts() []amount {
	var list []amount
	for unit, n := range p {
		digits, _ := n.FloatPrec()
		list = append(list, amount{n.FloatString(digits), unit})
	}
	slices.SortFunc(list, func(a, b amount) int { return strings.Compare(a.Unit, b.Unit) })
	return list
}

// percent is a share as people say it.
func percent(share float64) string {
	switch p := 100 * share; {
	case p > 0 && p < 0.1:
		return "<" + nbsp + "0.1" + nbsp + "%"
	case p < 10:
		return strconv.FormatFloat(p, 'f', 1, 64) + nbsp + "%"
	default:
		return strconv.FormatFloat(p, 'f', 0, 64) + nbsp + "%"
	}
}

func dayText(t time.Time) string    { return t.UTC().Format(time.DateOnly) }
func momentText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + nbsp + "UTC" }

// counted is a number and what it counts.
func counted(n int64, of string) string {
	if n == 1 {
		return "1" + nbsp + of
	}
	return exact(n) + nbsp + of + "s"
}
