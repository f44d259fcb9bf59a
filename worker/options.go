package worker

import (
	"cmp"
	"log/slog"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/headrace/headrace/internal/version"
)

// Options say how a Worker presents itself to Temporal.
type Options struct {
	// Versioning makes the worker part of Temporal's Worker Versioning: it takes
	// workflows, and their activities, only once its version is current or ramping.
	Versioning bool
	// Deployment names all workers of one headrace, "" for headrace; BuildID tells
	// builds apart, "" for the version of headrace. Temporal shows both, whether or
	// not there is Versioning.
	Deployment, BuildID string
	// Namespace is for commands that are suggested to people.
	Namespace string
	// Logger is told when workers of several versions are at work; nil for nobody.
	Logger *slog.Logger
}

// deployment names all workers of headrace to Temporal.
const deployment = "headrace"

func (o Options) withDefaults() Options {
	o.Deployment = cmp.Or(o.Deployment, deployment)
	o.BuildID = cmp.Or(o.BuildID, version.String())
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// deploymentOptions are those of the worker that decides. Every workflow goes on
// with the newest version: histories of all releases are replayed by tests, and
// batches, queues and deliveries live for longer than an upgrade may take.
func (o Options) deploymentOptions() worker.DeploymentOptions {
	d := worker.DeploymentOptions{
		UseVersioning: o.Versioning,
		Version:       worker.WorkerDeploymentVersion{DeploymentName: o.Deployment, BuildID: o.BuildID},
	}
	if o.Versioning {
		d.DefaultVersioningBehavior = workflow.VersioningBehaviorAutoUpgrade
	}
	return d
}
