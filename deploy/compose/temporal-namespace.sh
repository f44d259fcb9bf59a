#!/bin/sh
# Creates the namespace that headrace works in, or gives an existing one the
# retention that is wanted. TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE say where;
# RETENTION is how long what has ended stays to be looked at. Results are in the
# store and do not depend on it.
set -eu

attempts=60
until temporal operator cluster health >/dev/null 2>&1; do
	attempts=$((attempts - 1))
	[ "$attempts" -gt 0 ] || { echo "Temporal at $TEMPORAL_ADDRESS does not answer" >&2; exit 1; }
	sleep 1
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
	temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
else
	temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi

# A new namespace is known to all of Temporal's services within seconds.
attempts=60
until temporal workflow list --namespace "$TEMPORAL_NAMESPACE" --limit 1 >/dev/null 2>&1; do
	attempts=$((attempts - 1))
	[ "$attempts" -gt 0 ] || { echo "namespace $TEMPORAL_NAMESPACE does not become ready" >&2; exit 1; }
	sleep 1
done
