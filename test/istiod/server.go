// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"istio.io/istio/pilot/pkg/config/memory"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry/ambient"
	"istio.io/istio/pilot/pkg/xds"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/multicluster"
	"istio.io/istio/pkg/security"
	"istio.io/istio/pkg/spiffe"
	pkica "istio.io/istio/security/pkg/pki/ca"
	caserver "istio.io/istio/security/pkg/server/ca"
)

// harness is what the servers and the control API work on.
type harness struct {
	client kube.Client
	server *xds.DiscoveryServer
	index  ambient.Index
	env    *model.Environment
	store  *memory.Controller

	settling sync.Mutex // one settle at a time
	probes   int

	mu      sync.Mutex
	resumed *sync.Cond
	paused  pause
	token   string
	conns   map[net.Conn]bool // open TCP connections of ADS clients
	nacks   []nack
	acks    map[string]int // by type URL
	firsts  []first
}

// pause says how ADS clients are kept waiting.
type pause int

const (
	serving pause = iota
	away          // connections are closed as soon as they are accepted
	silent        // streams go on, and nothing is sent on them
)

type nack struct {
	Time    time.Time `json:"time"`
	Node    string    `json:"node"`
	TypeURL string    `json:"typeUrl"`
	Nonce   string    `json:"nonce"`
	Code    int32     `json:"code"`
	Message string    `json:"message"`
}

// first is the first request of a stream for a type.
type first struct {
	Node        string            `json:"node"`
	Metadata    map[string]any    `json:"metadata"`
	TypeURL     string            `json:"typeUrl"`
	Subscribe   []string          `json:"subscribe"`
	Unsubscribe []string          `json:"unsubscribe"`
	Held        map[string]string `json:"held"` // initial_resource_versions
}

func newHarness() *harness {
	h := &harness{conns: map[net.Conn]bool{}, acks: map[string]int{}, token: *token}
	h.resumed = sync.NewCond(&h.mu)
	return h
}

func (h *harness) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return next(srv, &recorded{ServerStream: s, h: h, asked: map[string]bool{}})
		}),
		// As istiod: initial_resource_versions of a large mesh exceed it.
		grpc.MaxRecvMsgSize(features.MaxRecvMsgSize),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		// istiod gives streams ten seconds to end by themselves; here a test waits for that.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second,
			MaxConnectionAge: *maxAge, MaxConnectionAgeGrace: time.Second,
		}),
	}
}

// recorded is an ADS stream that notes what a client says, and that waits while the harness is silent.
type recorded struct {
	grpc.ServerStream
	h     *harness
	node  *nodeOf
	asked map[string]bool
}

type nodeOf struct {
	id       string
	metadata map[string]any
}

func (r *recorded) RecvMsg(m any) error {
	if err := r.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	req, ok := m.(*discovery.DeltaDiscoveryRequest)
	if !ok {
		return nil
	}
	if req.Node != nil {
		r.node = &nodeOf{req.Node.Id, req.Node.Metadata.AsMap()}
	}
	if r.node == nil {
		r.node = &nodeOf{}
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	if !r.asked[req.TypeUrl] {
		r.asked[req.TypeUrl] = true
		r.h.firsts = append(r.h.firsts, first{
			r.node.id, r.node.metadata, req.TypeUrl,
			req.ResourceNamesSubscribe, req.ResourceNamesUnsubscribe, req.InitialResourceVersions,
		})
	}
	if e := req.ErrorDetail; e != nil {
		r.h.nacks = append(r.h.nacks, nack{time.Now(), r.node.id, req.TypeUrl, req.ResponseNonce, e.Code, e.Message})
	} else if req.ResponseNonce != "" {
		r.h.acks[req.TypeUrl]++
	}
	return nil
}

func (r *recorded) SendMsg(m any) error {
	r.h.mu.Lock()
	for r.h.paused == silent && r.Context().Err() == nil {
		r.h.resumed.Wait()
	}
	r.h.mu.Unlock()
	return r.ServerStream.SendMsg(m)
}

// listenOn waits for a port that something else has for the moment: a harness that starts again keeps its addresses.
func listenOn(addr string) net.Listener {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			log.Fatal(err)
		}
	}
}

// serve listens on addr and remembers the accepted connections, so that they can be cut. It returns the address.
func (h *harness) serve(addr string, s *grpc.Server) string {
	l := listenOn(addr)
	go func() { log.Fatal(s.Serve(&tracked{l, h})) }()
	return l.Addr().String()
}

type tracked struct {
	net.Listener
	h *harness
}

func (l *tracked) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if kept := l.keep(c); kept != nil {
			return kept, nil
		}
		c.Close()
	}
}

func (l *tracked) keep(c net.Conn) net.Conn {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.h.paused == away {
		return nil
	}
	c = &trackedConn{c, l.h}
	l.h.conns[c] = true
	return c
}

type trackedConn struct {
	net.Conn
	h *harness
}

func (c *trackedConn) Close() error {
	c.h.mu.Lock()
	delete(c.h.conns, c)
	c.h.resumed.Broadcast() // a stream that waits looks whether its client is still there
	c.h.mu.Unlock()
	return c.Conn.Close()
}

// cut closes every TCP connection under its client, as a crash would.
func (h *harness) cut() int {
	h.mu.Lock()
	conns := make([]net.Conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	h.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	return len(conns)
}

// pauseAs changes how clients are served; whoever is away has no connections.
func (h *harness) pauseAs(p pause) {
	h.mu.Lock()
	h.paused = p
	h.resumed.Broadcast()
	h.mu.Unlock()
	if p == away {
		h.cut()
	}
}

// newTLSServer makes the server of the TLS port: the same ADS plus istio's certificate authority, whose self-signed root
// goes to ca.pem. Callers must present the token; it stands for tokenPod.
func (h *harness) newTLSServer(clusters *multicluster.Controller) *grpc.Server {
	if *token == "" {
		log.Fatal("--tls-listen needs --token")
	}
	const day = 24 * time.Hour
	authority := must(pkica.NewIstioCA(must(pkica.NewSelfSignedDebugIstioCAOptions("", 365*day, day, day, "cluster.local", 2048))))
	cert, key, err := authority.GenKeyCert([]string{"localhost", "127.0.0.1", "istiod.istio-system.svc"}, 30*day, false)
	check(err)
	pair := must(tls.X509KeyPair(cert, key))
	check(os.MkdirAll(*tlsDir, 0o755))
	check(os.WriteFile(filepath.Join(*tlsDir, "ca.pem"), authority.GetCAKeyCertBundle().GetRootCertPem(), 0o644))

	h.server.Authenticators = []security.Authenticator{h} // istiod skips these for plaintext peers
	s := grpc.NewServer(append(h.options(), grpc.Creds(credentials.NewServerTLSFromCert(&pair)))...)
	h.server.Register(s)
	must(caserver.New(authority, day, h.server.Authenticators, clusters)).Register(s)
	return s
}

func (h *harness) AuthenticatorType() string { return "harness token" }

// Authenticate implements security.Authenticator: the one token is the identity of tokenPod.
func (h *harness) Authenticate(ctx security.AuthContext) (*security.Caller, error) {
	if ctx.GrpcContext == nil {
		return nil, errors.New("gRPC only")
	}
	got, err := security.ExtractBearerToken(ctx.GrpcContext)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	wanted := h.token
	h.mu.Unlock()
	if got != wanted {
		return nil, errors.New("wrong token")
	}
	namespace, name, _ := strings.Cut(*tokenPod, "/")
	info := security.KubernetesInfo{PodNamespace: namespace, PodName: name, PodServiceAccount: "ztunnel"}
	if pod, err := h.client.Kube().CoreV1().Pods(namespace).Get(context.Background(), name, metav1.GetOptions{}); err == nil {
		info.PodUID, info.PodServiceAccount = string(pod.UID), pod.Spec.ServiceAccountName
	}
	id := spiffe.Identity{TrustDomain: constants.DefaultClusterLocalDomain, Namespace: namespace, ServiceAccount: info.PodServiceAccount}
	return &security.Caller{AuthSource: security.AuthSourceIDToken, Identities: []string{id.String()}, KubernetesInfo: info}, nil
}
