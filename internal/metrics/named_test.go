package metrics_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the table of the documentation anew")

// Files that name metrics.
const (
	dashboardFile = "../../deploy/grafana/headrace.json"
	alertsFile    = "../../deploy/prometheus/alerts.yaml"
	docsFile      = "../../docs/observability.md"
)

// exported is the labels of each metric that there is, by the names that queries use.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"up": {"job", "instance"}} // Prometheus's own
	for _, f := range families(t) {
		labels := append(labelsOf(f), "job", "instance")
		all[f.GetName()] = labels
		if f.GetType() == dto.MetricType_HISTOGRAM {
			delete(all, f.GetName())
			all[f.GetName()+"_bucket"] = append(labels, "le")
			all[f.GetName()+"_sum"], all[f.GetName()+"_count"] = labels, labels
		}
	}
	return all
}

func families(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	all, err := everything(t).Gatherer().Gather()
	require.NoError(t, err)
	return all
}

// labelsOf are those that any of a family's metrics has.
func labelsOf(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// The parts of a query that name something.
var (
	metricName = regexp.MustCompile(`\b(?:headrace|temporal|process|go)_[a-z0-9_]+|\bup\b`)
	selector   = regexp.MustCompile(`\b([a-z][a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
	template   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// requireQuery checks that a query names nothing that does not exist.
func requireQuery(t *testing.T, known map[string][]string, query string, texts ...string) {
	t.Helper()
	reachable := map[string]bool{}
	names := metricName.FindAllString(quoted.ReplaceAllString(query, `""`), -1)
	require.NotEmpty(t, names, query)
	for _, name := range names {
		require.Contains(t, known, name, "in %s", query)
		for _, label := range known[name] {
			reachable[label] = true
		}
	}
	for _, s := range selector.FindAllStringSubmatch(query, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			require.Contains(t, known[s[1]], m[1], "in %s", query)
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			require.True(t, reachable[strings.TrimSpace(label)], "no label %q in %s", label, query)
		}
	}
	for _, text := range texts {
		for _, m := range template.FindAllStringSubmatch(text, -1) {
			require.True(t, reachable[m[1]], "no label %q in %s, which is shown as %q", m[1], query, text)
		}
	}
}

func TestTheDashboardShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Type, Title, Description string
			Targets                  []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	known, queries := exported(t), 0
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Targets, p.Title)
		require.NotEmpty(t, p.Description, p.Title)
		for _, q := range p.Targets {
			requireQuery(t, known, q.Expr, q.LegendFormat)
			queries++
		}
	}
	require.Greater(t, queries, 40)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Definition != "" {
			requireQuery(t, known, v.Definition)
		}
	}
	require.Equal(t, []string{"datasource", "queue", "provider"}, variables)
}

func TestAlertsAskForWhatThereIsAndSayWhatToDo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(alertsFile)
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	known, seen := exported(t), map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			require.False(t, seen[r.Alert], "%s twice", r.Alert)
			seen[r.Alert] = true
			requireQuery(t, known, r.Expr, r.Annotations["summary"])
			require.Contains(t, []string{"info", "warning", "critical"}, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["runbook"], r.Alert)
		}
	}
	require.Len(t, seen, 13)
}

// Marks around the table of metrics.
const (
	tableBegin = "<!-- metrics: go test ./internal/metrics -run Documented -update -->\n"
	tableEnd   = "<!-- end of metrics -->"
)

func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, f := range families(t) {
		if !strings.HasPrefix(f.GetName(), "headrace_") {
			continue
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
			strings.Join(labelsOf(f), ", "), f.GetHelp())
	}
	text, err := os.ReadFile(docsFile)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), tableBegin)
	require.True(t, ok, "no table")
	old, after, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok, "no end of the table")
	if *update {
		require.NoError(t, os.WriteFile(docsFile, []byte(before+tableBegin+table.String()+tableEnd+after), 0o600))
		return
	}
	require.Equal(t, table.String(), old, "run with -update")
}
