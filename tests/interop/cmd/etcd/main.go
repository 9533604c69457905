// Command etcd is the real etcd 3.7.1: the other side of every comparison in this module.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
