// Package deploy is what headrace is deployed with: the compose file's parts,
// Kubernetes manifests, and the settings of a Temporal cluster. It has no code;
// its tests hold the files together, without Docker and without a cluster.
package deploy
