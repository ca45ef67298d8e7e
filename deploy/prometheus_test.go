package deploy

import (
	"regexp"
	"strings"
	"testing"
)

// Every alert asks for metrics that the program tells, has a case of its own, and is explained.
func TestPrometheusAlerts(t *testing.T) {
	rules := strict[struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	}](t, "prometheus/alerts.yaml")
	program, cases, readme := read(t, "../cmd/simusage/metrics.go"), read(t, "prometheus/alerts_test.yaml"), read(t, "README.md")
	for _, rule := range rules.Groups[0].Rules {
		for _, metric := range regexp.MustCompile(`simusage_\w+`).FindAllString(rule.Expr, -1) {
			if !strings.Contains(program, `"`+metric+`"`) {
				t.Errorf("%s asks for %s, which the program does not tell", rule.Alert, metric)
			}
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["action"] == "" {
			t.Errorf("%s lacks a severity, a summary or what to do", rule.Alert)
		}
		if !strings.Contains(cases, rule.Alert) {
			t.Errorf("%s has no case", rule.Alert)
		}
		if !strings.Contains(readme, "| `"+rule.Alert+"` |") {
			t.Errorf("%s is not explained", rule.Alert)
		}
	}
	for _, name := range regexp.MustCompile("(?m)^\\| `(Simusage\\w+)`").FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(read(t, "prometheus/alerts.yaml"), "alert: "+name[1]+"\n") {
			t.Errorf("%s is explained and does not exist", name[1])
		}
	}
}
