package devserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// readyInterval is the pause between two questions whether the server is ready.
const readyInterval = 5 * time.Millisecond

// awaitReady returns when the server at address knows the namespace and its
// shard takes requests, or when ctx is done. It asks for a workflow that cannot
// exist: that it does not is an answer only of a server that is ready.
func awaitReady(ctx context.Context, address, namespace string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	service := workflowservice.NewWorkflowServiceClient(conn)
	request := &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: namespace,
		Execution: &commonpb.WorkflowExecution{WorkflowId: "headrace-devserver-ready"},
	}
	for {
		_, err := service.DescribeWorkflowExecution(ctx, request, grpc.WaitForReady(true))
		if err == nil || isMissingWorkflow(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %w", ctx.Err(), err)
		case <-time.After(readyInterval):
		}
	}
}

// isMissingWorkflow tells the error for a workflow that does not exist from that
// for a namespace that the server has not loaded yet, which has the same code.
func isMissingWorkflow(err error) bool {
	_, ok := errors.AsType[*serviceerror.NotFound](serviceerror.FromStatus(status.Convert(err)))
	return ok
}
