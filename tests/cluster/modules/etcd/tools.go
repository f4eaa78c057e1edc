//go:build tools

// Package etcd has no code: it names the version of the program that is built.
package etcd

import _ "go.etcd.io/etcd/server/v3"
