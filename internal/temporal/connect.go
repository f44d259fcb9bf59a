package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// connectTimeout bounds connecting, all tries together: who starts processes
// wants to hear soon that one cannot.
const connectTimeout = 10 * time.Second

// Connect connects to Temporal, and makes sure that the namespace is there. An
// error says what is wrong, and what to do.
func Connect(ctx context.Context, o Options) (client.Client, error) {
	options, err := o.client()
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := client.DialContext(bounded, options)
	if err == nil {
		err = checkNamespace(bounded, c, options.Namespace)
		if err != nil {
			c.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal at %s: %w", options.HostPort, explain(ctx, options, err))
	}
	return c, nil
}

// checkNamespace looks a namespace up.
func checkNamespace(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	return err
}

// explain says in words what an error means.
func explain(ctx context.Context, o client.Options, err error) error {
	var missing *serviceerror.NamespaceNotFound
	var notFound *serviceerror.NotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &missing), errors.As(err, &notFound):
		return fmt.Errorf("there is no namespace %q: make it with 'temporal operator namespace create -n %s', "+
			"or name another with temporal.namespace or --namespace", o.Namespace, o.Namespace)
	case errors.As(err, &denied), isUnauthenticated(err):
		return fmt.Errorf("access to namespace %q is refused: check temporal.api_key or the certificate, and what it may do (%w)",
			o.Namespace, err)
	}
	return cmp.Or(diagnose(ctx, o), err)
}
