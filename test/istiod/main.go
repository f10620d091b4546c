// SPDX-License-Identifier: Apache-2.0

// Command istiod-harness is a real istiod discovery core without Kubernetes.
//
// It wires istio's own packages together the way pilot-discovery does: the ambient index, the delta ADS server, the
// debug endpoints and (on the TLS port) the certificate authority. Only the Kubernetes API server is replaced: the
// informers read an in-memory fake clientset, which is filled from a YAML file, by counting, or at run time over HTTP.
//
// Built by scripts/build-istiod.sh. It prints one line of JSON once it serves, with the addresses it listens on:
//
//	istiod-harness --objects sample.yaml
//	{"ads":"127.0.0.1:40001","control":"127.0.0.1:40002"}
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"syscall"
	"time"

	"google.golang.org/grpc"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	istiolog "istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

var (
	listen     = flag.String("listen", "127.0.0.1:0", "plaintext gRPC: delta ADS without authentication; port 0 is any free one")
	control    = flag.String("control", "127.0.0.1:0", "HTTP control API")
	objects    = flag.String("objects", "", "YAML file of objects to start with")
	generate   = flag.String("generate", "", "SERVICES,WORKLOADS: fill the cluster with that many services and pods")
	meshConfig = flag.String("mesh-config", "", "MeshConfig as YAML, where it differs from istiod's defaults")
	debounce   = flag.Duration("debounce", 100*time.Millisecond, "quiet time before a change is pushed")
	maxAge     = flag.Duration("max-connection-age", 0, "how old a connection gets before its client is told to open another one; 0: any age")
	tlsListen  = flag.String("tls-listen", "", "TLS gRPC: delta ADS and certificate authority, both need the token")
	tlsDir     = flag.String("tls-dir", ".", "where ca.pem (the root of the TLS port) is written")
	token      = flag.String("token", "", "bearer token that the TLS port accepts; POST /token?is= changes it")
	tokenPod   = flag.String("token-pod", "istio-system/ztunnel-x", "pod (NAMESPACE/NAME) that the token stands for")
)

// istiodEnv is what istiod's packages read from the environment while they initialise.
var istiodEnv = map[string]string{
	"PILOT_ENABLE_AMBIENT":          "true",
	"AMBIENT_ENABLE_STATUS":         "false", // nobody reads the conditions it would write
	"CA_TRUSTED_NODE_ACCOUNTS":      "istio-system/ztunnel",
	"PILOT_MAX_REQUESTS_PER_SECOND": "1000", // new streams per second; istiod's own default is 25 on 2 cores
}

func main() {
	flag.Parse()
	log.SetFlags(log.Lmicroseconds)
	// Settings are read in package initialisers, before main: set them and start over (same process id).
	if os.Getenv("ISTIOD_HARNESS_STARTED") == "" {
		os.Setenv("ISTIOD_HARNESS_STARTED", "1")
		for k, v := range istiodEnv {
			if os.Getenv(k) == "" {
				os.Setenv(k, v)
			}
		}
		check(syscall.Exec(must(os.Executable()), os.Args, os.Environ()))
	}
	// test.Wrap supplies the t that clienttest.MakeCRD wants; everything else here is production code.
	check(test.Wrap(run))
}

// check and must end the program on an error; only the control API reports errors otherwise.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func run(t test.Failer) {
	start := time.Now()
	logging := istiolog.DefaultOptions()
	logging.OutputPaths = []string{"stderr"}
	check(istiolog.Configure(logging))
	// Fake watches panic when their buffer is full; 100 is too few for PUT of a large file.
	watch.DefaultChanSize = 1 << 18

	h := newHarness()
	h.client = newCluster(t, startingObjects())
	clusters := h.newDiscovery()
	var tlsServer *grpc.Server
	if *tlsListen != "" {
		tlsServer = h.newTLSServer(clusters)
	}
	h.startDiscovery(clusters)
	addresses, _ := h.index.AddressInformation(nil)
	log.Printf("%d addresses and %d policies indexed after %v", len(addresses), len(h.index.Policies(nil)), time.Since(start).Round(time.Millisecond))

	plain := grpc.NewServer(h.options()...)
	h.server.Register(plain)
	bound := map[string]string{"ads": h.serve(*listen, plain)}
	if tlsServer != nil {
		bound["tls"] = h.serve(*tlsListen, tlsServer)
	}
	l := listenOn(*control)
	bound["control"] = l.Addr().String()
	fmt.Println(string(must(json.Marshal(bound))))
	check(http.Serve(l, h.routes()))
}

// startingObjects are those the flags ask for.
func startingObjects() []k8sruntime.Object {
	var objs []k8sruntime.Object
	if *generate != "" {
		var services, workloads int
		if n, _ := fmt.Sscanf(*generate, "%d,%d", &services, &workloads); n != 2 || services < 1 {
			log.Fatalf("--generate %q: want SERVICES,WORKLOADS", *generate)
		}
		objs = generated(services, workloads)
	}
	if *objects != "" {
		objs = append(objs, must(decode(must(os.Open(*objects))))...)
	}
	return objs
}
