// SPDX-License-Identifier: Apache-2.0

// Command kube-harness is a real Kubernetes API server with its etcd, in one process: what is written to it is validated, owned by
// field managers and watched as in any cluster. There are no controllers and no nodes.
//
// Built by scripts/build-kube.sh. It prints one line of JSON once it serves, and ends when its standard input does:
//
//	kube-harness --dir DIR
//	{"kubeconfig":"DIR/kubeconfig","server":"https://127.0.0.1:40001"}
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// Who may come in, as the token file has it: token, user, id, groups.
const tokens = `admin-token,admin,1,"system:masters"
viewer-token,viewer,2,"dev"
`

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: "%[1]s", certificate-authority: "%[2]s"}
users:
- name: admin
  user: {token: admin-token}
- name: viewer
  user: {token: viewer-token}
contexts:
- name: admin
  context: {cluster: test, user: admin}
- name: viewer
  context: {cluster: test, user: viewer, namespace: shop}
current-context: admin
`

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "", "folder for everything that it writes")
	flag.Parse()
	if *dir == "" {
		log.Fatal("--dir is missing")
	}
	storage, err := startEtcd(filepath.Join(*dir, "etcd"))
	if err != nil {
		log.Fatalf("etcd: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatalf("API server ended: %v", serve(*dir, storage, listener)) }()
	server := "https://" + listener.Addr().String()
	file := filepath.Join(*dir, "kubeconfig")
	text := fmt.Sprintf(kubeconfig, server, filepath.Join(*dir, "certs", "apiserver.crt"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		log.Fatal(err)
	}
	if err := ready(file, time.Minute); err != nil {
		log.Fatal(err)
	}
	line, _ := json.Marshal(map[string]string{"kubeconfig": file, "server": server})
	fmt.Println(string(line))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startEtcd gives the address of its client port.
func startEtcd(dir string) (string, error) {
	anywhere := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls, config.AdvertiseClientUrls = anywhere, anywhere
	config.ListenPeerUrls, config.AdvertisePeerUrls = anywhere, anywhere
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	server, err := embed.StartEtcd(config)
	if err != nil {
		return "", err
	}
	<-server.Server.ReadyNotify()
	return "http://" + server.Clients[0].Addr().String(), nil
}

func serve(dir, storage string, listener net.Listener) error {
	file := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(file, []byte(tokens), 0o600); err != nil {
		return err
	}
	key := filepath.Join(dir, "service-account.key")
	if err := writeKey(key); err != nil {
		return err
	}
	server := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	sets := server.Flags()
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse([]string{
		"--etcd-servers=" + storage,
		"--bind-address=127.0.0.1",
		// No loopback address may be told to others; nobody asks.
		"--advertise-address=192.0.2.2",
		"--cert-dir=" + filepath.Join(dir, "certs"),
		"--authorization-mode=RBAC",
		"--token-auth-file=" + file,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
	}); err != nil {
		return err
	}
	server.SecureServing.Listener = listener
	server.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if err := server.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctx := context.Background()
	completed, err := server.Complete(ctx)
	if err != nil {
		return err
	}
	if faults := completed.Validate(); len(faults) > 0 {
		return fmt.Errorf("%v", faults)
	}
	return app.Run(ctx, completed)
}

// ready waits until the server says that it is.
func ready(file string, limit time.Duration) error {
	var fault error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if fault = ask(file); fault == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready after %s: %v", limit, fault)
}

func ask(file string) error {
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	answer, err := client.Get(config.Host + "/readyz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}
