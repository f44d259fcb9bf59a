package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headrace/headrace/internal/apikey"
	"github.com/headrace/headrace/internal/seal"
	"github.com/headrace/headrace/internal/secret"
	"github.com/headrace/headrace/internal/store"
)

func newKey(p program) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make API keys",
		Long: `Make API keys.

A server whose configuration has api.keys answers only to requests that show one
of them. The configuration has hashes, from which nobody can make the keys.`,
		Example: `  headrace key new --name web --project shop --scopes submit,read
  headrace key hash <key.txt`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newKeyNew(p), newKeyHash(p))
	return c
}

// keyFlags say what a new key is to be.
type keyFlags struct {
	name, project, scopes, expires string
	json, encryption               bool
}

func newKeyNew(p program) *cobra.Command {
	var f keyFlags
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a key and the entry that lets it in",
		Long: `Make a key and the entry that lets it in.

The key goes to standard output, alone: this is the only time that it is shown.
The entry for api.keys of the server's headrace.yaml goes to standard error. It
has the key's hash, and is no secret.

Scopes: submit (make calls, tasks and batches; cancel and delete), read (see what
there is, and results), operate (pause, change and retry batches; look at queues),
admin (everything, the limits of queues too).`,
		Example: `  headrace key new --name web --project shop --scopes submit,read
  KEY=$(headrace key new --name ci --scopes submit,read --expires 2027-01-01)
  headrace key new --name ops --scopes operate,read --json
  headrace key new --encryption                            a key for encryption.keys`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if !f.encryption {
				return f.run(p)
			}
			if c.Flags().NFlag() > 1 {
				return usageError{errors.New("--encryption makes a key that has no name or scopes: leave the other flags out")}
			}
			_, err := fmt.Fprintln(p.stdout, seal.NewKey().Reveal())
			return err
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.name, "name", "", "name of the key, for logs and for people (required)")
	fs.StringVar(&f.project, "project", store.DefaultProject, "project that owns what is made with the key")
	fs.StringVar(&f.scopes, "scopes", string(apikey.Submit)+","+string(apikey.Read), "what the key allows: submit, read, operate, admin")
	fs.StringVar(&f.expires, "expires", "", "day or time at which the key stops to work, such as 2027-01-01 (default never)")
	fs.BoolVar(&f.json, "json", false, "print the key and its entry as JSON, to standard output")
	fs.BoolVar(&f.encryption, "encryption", false, "make a key of the encryption at rest instead, and print that alone")
	return c
}

func (f keyFlags) run(p program) error {
	key := madeKey{Name: f.name, Project: f.project}
	var err error
	if key.Scopes, err = apikey.ParseScopes(f.scopes); err != nil {
		return usageError{fmt.Errorf("--%w", err)}
	}
	expires, err := apikey.ParseExpiry(f.expires)
	switch {
	case err != nil:
		return usageError{fmt.Errorf("--%w", err)}
	case !expires.IsZero() && !expires.After(time.Now()):
		return usageError{fmt.Errorf("--expires: %s has passed", f.expires)}
	case !expires.IsZero():
		key.Expires = &expires
	}
	if f.name == "" {
		return usageError{errors.New("--name is missing: say whose key it is, such as --name web")}
	}
	var shown secret.String
	shown, key.Hash = apikey.New()
	if err := key.check(); err != nil {
		return usageError{err}
	}
	if f.json {
		key.Key = shown.Reveal()
		return writeJSON(p.stdout, key)
	}
	_, _ = fmt.Fprintf(p.stderr, "# The entry for api.keys in the server's headrace.yaml:\n%s"+
		"# The key, for its user alone; it is not shown again:\n", key.entry())
	_, err = fmt.Fprintln(p.stdout, shown.Reveal())
	return err
}

// madeKey is a new key as --json prints it. But for the key itself it is an entry
// of api.keys.
type madeKey struct {
	Key     string         `json:"key"`
	Name    string         `json:"name"`
	Project string         `json:"project"`
	Scopes  []apikey.Scope `json:"scopes"`
	Hash    string         `json:"hash"`
	Expires *time.Time     `json:"expires"`
}

// check refuses what a server would refuse.
func (k madeKey) check() error {
	if err := apikey.CheckName(k.Name); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	if err := apikey.CheckName(k.Project); err != nil {
		return fmt.Errorf("--project: %w", err)
	}
	return nil
}

// entry is the key's entry in the configuration. Names are quoted, since some are
// no texts otherwise: 7, say, or no.
func (k madeKey) entry() string {
	var b strings.Builder
	scopes := make([]string, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = string(s)
	}
	_, _ = fmt.Fprintf(&b, "    - name: %q\n      project: %q\n      scopes: [%s]\n      hash: %q\n",
		k.Name, k.Project, strings.Join(scopes, ", "), k.Hash)
	if k.Expires != nil {
		_, _ = fmt.Fprintf(&b, "      expires: %s\n", k.Expires.Format(time.RFC3339))
	}
	return b.String()
}

func newKeyHash(p program) *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Read a key on standard input and print its hash",
		Long: `Read a key on standard input and print its hash, as the configuration of a server
has it. A key belongs in no command line: others can see those.`,
		Example: `  headrace key hash <key.txt`,
		Args:    wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			const longest = 4 << 10
			line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), longest)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read key: %w", err)
			}
			hash, err := apikey.HashOf(secret.New(strings.TrimSpace(line)))
			if err != nil {
				return fmt.Errorf("standard input: %w", err)
			}
			_, err = fmt.Fprintln(p.stdout, hash)
			return err
		},
	}
}
