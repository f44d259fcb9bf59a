package openai_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/headrace/internal/openai"
)

func TestTheTypeOfAValueIsNamedInAMessage(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]openai.Kind{
		``: "nothing", `null`: "null", `"x"`: "a string", `""`: "a string", `"1.5"`: "a string", `{}`: "an object", `{"a":1.5}`: "an object",
		`[]`: "an array", `[1.5]`: "an array", `true`: "a boolean", `false`: "a boolean",
		`0`: "an integer", `-7`: "an integer", `12345678901234567890123`: "an integer",
		`1.0`: "a decimal number", `1e3`: "a decimal number", `1E-3`: "a decimal number", `-0.5`: "a decimal number",
	} {
		require.Equal(t, want, openai.KindOf([]byte(raw)), raw)
		require.Equal(t, "Invalid type for 'p': expected an object, but got "+string(want)+" instead.",
			openai.InvalidTypeMessage("p", openai.KindObject, []byte(raw)))
	}
}

func TestAPercentSignInAParameterIsNoFormat(t *testing.T) {
	t.Parallel()
	e := openai.InvalidType("metadata.100%s", openai.KindString, []byte("1"))
	require.Equal(t, "Invalid type for 'metadata.100%s': expected a string, but got an integer instead.", e.Message)
	require.Equal(t, "metadata.100%s", *e.Param)
	require.Equal(t, "Missing required parameter: '%d'.", openai.MissingParameter("%d").Message)
}
