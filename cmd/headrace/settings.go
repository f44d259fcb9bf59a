package main

import (
	"github.com/spf13/pflag"

	"github.com/headrace/headrace/internal/config"
)

// settings is the configuration of a command: its file, the environment, and flags
// that set single fields.
type settings struct {
	file  string
	flags []*settingFlag
}

// settingFlag is a flag that sets a field. Its text is looked at with those of the
// file and the environment.
type settingFlag struct {
	name, path, value string
	given             bool
}

// String implements pflag.Value.
func (f *settingFlag) String() string { return f.value }

// Set implements pflag.Value.
func (f *settingFlag) Set(text string) error {
	f.value, f.given = text, true
	return nil
}

// Type implements pflag.Value.
func (f *settingFlag) Type() string { return config.KindOf(f.path) }

// addFile adds the flag that names the file.
func (s *settings) addFile(fs *pflag.FlagSet) {
	fs.StringVar(&s.file, "config", "", "configuration file (default $"+config.EnvConfig+")")
}

// add adds a flag that sets a field.
func (s *settings) add(fs *pflag.FlagSet, name, path, usage string) {
	f := &settingFlag{name: name, path: path, value: config.DefaultOf(path)}
	s.flags = append(s.flags, f)
	flag := fs.VarPF(f, name, "", usage)
	if f.Type() == "bool" {
		flag.NoOptDefVal = "true"
	}
}

// load makes the configuration. Whatever is wrong with it is a usageError.
func (s *settings) load(p program) (config.Config, error) {
	var given []config.Setting
	for _, f := range s.flags {
		if f.given {
			given = append(given, config.Setting{Path: f.path, Value: f.value, From: "--" + f.name})
		}
	}
	c, err := config.Load(s.file, p.env, given...)
	if err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// addListen adds the flags of commands that serve the API.
func (s *settings) addListen(fs *pflag.FlagSet, usage string) {
	s.add(fs, "listen", "api.listen", usage)
	s.add(fs, "insecure", "api.insecure", "allow --listen on an address that others can reach, without keys")
	s.add(fs, "max-body", "api.max_body", "the largest body of a request that makes calls, in bytes")
}

// addConcurrency adds the flag that bounds the calls of tasks.
func (s *settings) addConcurrency(fs *pflag.FlagSet) {
	s.add(fs, "task-concurrency", "worker.task_concurrency", "the most calls of tasks in flight at once in this process")
}

// addCluster adds the flags that say where the parts are that several processes
// share.
func (s *settings) addCluster(fs *pflag.FlagSet) {
	s.add(fs, "temporal", "temporal.address", "address of the Temporal server (default $TEMPORAL_ADDRESS, or 127.0.0.1:7233)")
	s.add(fs, "namespace", "temporal.namespace", "Temporal namespace (default $TEMPORAL_NAMESPACE, or default)")
	s.add(fs, "store", "store.url", "folder that all processes share, s3://bucket, gs://bucket or azblob://container")
}
