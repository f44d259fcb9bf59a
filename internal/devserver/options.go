package devserver

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// Defaults of Options.
const (
	DefaultNamespace = "default"
	DefaultRetention = 30 * 24 * time.Hour
)

// minRetention is what Temporal itself asks of a namespace.
const minRetention = time.Hour

// Options say where and how a server runs. Only Dir is required.
type Options struct {
	// Dir is the folder of the database and of the lock. It is made if it does
	// not exist. One server at a time may use it.
	Dir string
	// FrontendPort is the port of 127.0.0.1 that clients and workers connect
	// to, 0 for any free one.
	FrontendPort int
	// UI turns the Web UI on; UIPort is its port of 127.0.0.1, 0 for any free
	// one.
	UI     bool
	UIPort int
	// Codec is the URL at which the Web UI has payloads opened that are sealed,
	// "" for none. It must let pages of the UI's origin ask.
	Codec string
	// Namespace is registered if it does not exist, "" for DefaultNamespace.
	Namespace string
	// Retention is how long finished workflows are kept: at least an hour, 0
	// for DefaultRetention. A changed value holds for workflows that finish
	// from then on.
	Retention time.Duration
	// Logger gets what the server has to say, nil for nobody. The server's
	// errors arrive as warnings, since it mends most of them itself, and
	// everything else at debug.
	Logger *slog.Logger
	// Faults makes the database fail now and then. It is for tests.
	Faults Faults
	// LongHistory is the number of events from which on a workflow is told to
	// continue as new, 0 for Temporal's own. It is for tests.
	LongHistory int
	// SystemWorkers runs Temporal's own workers too, which Worker Versioning needs.
	// It is for tests.
	SystemWorkers bool
}

// complete returns o with its defaults filled in, or what is wrong with it.
func (o Options) complete() (Options, error) {
	o.Namespace = cmp.Or(o.Namespace, DefaultNamespace)
	o.Retention = cmp.Or(o.Retention, DefaultRetention)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		return o, errors.New("temporal server: no folder given")
	}
	if o.Retention < minRetention {
		return o, fmt.Errorf("temporal server: retention %v is below the least possible, %v", o.Retention, minRetention)
	}
	for _, port := range []int{o.FrontendPort, o.UIPort} {
		if port < 0 || port > maxPort {
			return o, fmt.Errorf("temporal server: %d is not a port", port)
		}
	}
	if err := o.Faults.validate(); err != nil {
		return o, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("temporal server: folder %s: %w", o.Dir, err)
	}
	o.Dir = dir
	return o, nil
}
