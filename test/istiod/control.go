// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/monitoring"
)

// routes is the control API:
//
//	PUT, DELETE /objects   YAML documents; answers once the index has them (?settle=0: at once)
//	POST /objects          {"put": […], "delete": […]}: the same as one change
//	GET /ambientz          every workload and service that a client must hold once it has settled
//	GET /policies          every authorization policy, likewise
//	GET /nacks /firsts     what clients refused; the first request of each stream for each type
//	GET /stats /metrics    counts
//	POST /disconnect       ends every stream with status OK; ?tcp=1 closes the sockets instead
//	POST /pause            cuts all connections and takes no more; ?silent=1 keeps them and sends nothing
//	POST /resume
//	POST /token?is=TOKEN   the token that the TLS port accepts from now on
//	/debug/                istiod's own pages
func (h *harness) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !h.server.IsServerReady() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("PUT /objects", h.each(put))
	mux.HandleFunc("DELETE /objects", h.each(remove))
	mux.HandleFunc("POST /objects", h.change)
	mux.HandleFunc("GET /ambientz", func(w http.ResponseWriter, _ *http.Request) {
		addresses, _ := h.index.AddressInformation(nil)
		out := make([]resource, 0, len(addresses))
		for _, a := range addresses {
			out = append(out, newResource(a.ResourceName(), a.Version, a.Address))
		}
		reply(w, out)
	})
	mux.HandleFunc("GET /policies", func(w http.ResponseWriter, _ *http.Request) {
		policies := h.index.Policies(nil)
		out := make([]resource, 0, len(policies))
		for _, p := range policies {
			out = append(out, newResource(p.ResourceName(), "", p.Authorization))
		}
		reply(w, out)
	})
	mux.HandleFunc("GET /nacks", func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		reply(w, append([]nack{}, h.nacks...))
	})
	mux.HandleFunc("GET /firsts", func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		reply(w, append([]first{}, h.firsts...))
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		reply(w, map[string]any{
			"streams": len(h.server.AllClients()), "connections": len(h.conns), "acks": h.acks, "nacks": len(h.nacks),
			"updates": h.server.InboundUpdates.Load(), "pushed": h.server.CommittedUpdates.Load(), "heapBytes": m.HeapAlloc,
		})
	})
	mux.HandleFunc("POST /disconnect", func(w http.ResponseWriter, r *http.Request) {
		streams := h.server.AllClients()
		if r.URL.Query().Get("tcp") != "" {
			h.cut()
		} else {
			for _, c := range streams {
				c.Stop()
			}
		}
		reply(w, map[string]int{"dropped": len(streams)})
	})
	mux.HandleFunc("POST /pause", func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("silent") != "" {
			h.pauseAs(silent)
		} else {
			h.pauseAs(away)
		}
	})
	mux.HandleFunc("POST /resume", func(http.ResponseWriter, *http.Request) { h.pauseAs(serving) })
	mux.HandleFunc("POST /token", func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.token = r.URL.Query().Get("is")
	})
	mux.Handle("/debug/", h.server.InitDebug(http.NewServeMux(), true, func() map[string]string { return nil }))
	if metrics, err := monitoring.RegisterPrometheusExporter(nil, nil); err == nil {
		mux.Handle("GET /metrics", metrics)
	}
	return mux
}

type resource struct {
	Name     string          `json:"name"`
	Version  string          `json:"version,omitempty"`
	Resource json.RawMessage `json:"resource"` // proto3 JSON: bytes are base64, enums are names, defaults are left out
}

func newResource(name, version string, m proto.Message) resource {
	b, err := protojson.Marshal(m)
	if err != nil {
		b, _ = json.Marshal(err.Error())
	}
	return resource{name, version, b}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

type action func(kube.Client, k8sruntime.Object) (string, error)

// each decodes a YAML body and does one thing with each object of it.
func (h *harness) each(do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		objs, err := decode(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.finish(w, r, h.doAll(w, do, objs))
	}
}

// change puts and deletes in one call. What changes within the debounce time is one push.
func (h *harness) change(w http.ResponseWriter, r *http.Request) {
	var body struct{ Put, Delete []json.RawMessage }
	err := json.NewDecoder(r.Body).Decode(&body)
	parse := func(raw []json.RawMessage) []k8sruntime.Object {
		objs := make([]k8sruntime.Object, 0, len(raw))
		for _, document := range raw {
			var obj k8sruntime.Object
			if err == nil {
				obj, err = decodeOne(document)
				objs = append(objs, obj)
			}
		}
		return objs
	}
	puts, deletes := parse(body.Put), parse(body.Delete)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	done := h.doAll(w, put, puts)
	if done != nil {
		if removed := h.doAll(w, remove, deletes); removed != nil {
			done = append(done, removed...)
		} else {
			done = nil
		}
	}
	h.finish(w, r, done)
}

// doAll says what was done; nil when it failed, and w has been told.
func (h *harness) doAll(w http.ResponseWriter, do action, objs []k8sruntime.Object) []string {
	done := []string{}
	for _, obj := range objs {
		what, err := do(h.client, obj)
		if err != nil {
			http.Error(w, fmt.Sprintf("%v (after %d objects)", err, len(done)), http.StatusConflict)
			return nil
		}
		done = append(done, what)
	}
	return done
}

func (h *harness) finish(w http.ResponseWriter, r *http.Request, done []string) {
	if done == nil {
		return
	}
	if r.URL.Query().Get("settle") != "0" {
		h.settle()
	}
	reply(w, done)
}
