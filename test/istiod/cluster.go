// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	kubefake "k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	gatewayfake "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/fake"

	istiofake "istio.io/client-go/pkg/clientset/versioned/fake"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/kclient/clienttest"
	"istio.io/istio/pkg/test"
)

// kinds are those the ambient index watches, at the one version it watches; true means namespaced.
var kinds = map[config.GroupVersionKind]bool{
	gvk.Namespace:           false,
	gvk.Node:                false,
	gvk.GatewayClass:        false,
	gvk.Pod:                 true,
	gvk.Service:             true,
	gvk.EndpointSlice:       true,
	gvk.ServiceEntry:        true,
	gvk.WorkloadEntry:       true,
	gvk.AuthorizationPolicy: true,
	gvk.PeerAuthentication:  true,
	gvk.KubernetesGateway:   true,
}

// newCluster is a fake API server that holds some objects.
func newCluster(t test.Failer, objs []k8sruntime.Object) kube.Client {
	client := kube.NewFakeClient()
	for _, obj := range objs {
		must(put(client, obj))
	}
	for k := range kinds {
		if gvr, _ := gvk.ToGVR(k); strings.Contains(gvr.Group, ".istio.io") || strings.HasPrefix(gvr.Group, "gateway.") {
			clienttest.MakeCRD(t, client, gvr) // istiod watches a custom resource only once its CRD exists
		}
	}
	return client
}

// decode reads a stream of YAML documents.
func decode(r io.Reader) ([]k8sruntime.Object, error) {
	var objs []k8sruntime.Object
	reader := yaml.NewYAMLReader(bufio.NewReader(r))
	for {
		doc, err := reader.Read()
		if err == io.EOF {
			return objs, nil
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(doc, []byte("kind")) {
			continue // empty, or only comments
		}
		obj, err := decodeOne(doc)
		if err != nil {
			return nil, err
		}
		objs = append(objs, obj)
	}
}

// decodeOne reads one document, YAML or JSON.
func decodeOne(doc []byte) (k8sruntime.Object, error) {
	obj, _, err := kube.IstioCodec.UniversalDeserializer().Decode(doc, nil, nil)
	return obj, err
}

// locate says where an object is stored, and defaults its namespace.
func locate(client kube.Client, obj k8sruntime.Object) (k8stesting.ObjectTracker, schema.GroupVersionResource, metav1.Object, error) {
	kind := config.FromKubernetesGVK(obj.GetObjectKind().GroupVersionKind())
	namespaced, known := kinds[kind]
	if !known {
		return nil, schema.GroupVersionResource{}, nil, fmt.Errorf("istiod's ambient index does not watch %v", kind)
	}
	meta := obj.(metav1.Object)
	if namespaced && meta.GetNamespace() == "" {
		meta.SetNamespace("default")
	}
	gvr, _ := gvk.ToGVR(kind)
	switch {
	case strings.HasSuffix(gvr.Group, ".istio.io"):
		return client.Istio().(*istiofake.Clientset).Tracker(), gvr, meta, nil
	case strings.HasPrefix(gvr.Group, "gateway."):
		return client.GatewayAPI().(*gatewayfake.Clientset).Tracker(), gvr, meta, nil
	default:
		return client.Kube().(*kubefake.Clientset).Tracker(), gvr, meta, nil
	}
}

func put(client kube.Client, obj k8sruntime.Object) (string, error) {
	tracker, gvr, meta, err := locate(client, obj)
	if err != nil {
		return "", err
	}
	name := gvr.Resource + " " + meta.GetNamespace() + "/" + meta.GetName()
	if old, err := tracker.Get(gvr, meta.GetNamespace(), meta.GetName()); err == nil {
		meta.SetUID(old.(metav1.Object).GetUID())
		meta.SetCreationTimestamp(old.(metav1.Object).GetCreationTimestamp())
		return name + " updated", tracker.Update(gvr, obj, meta.GetNamespace())
	}
	// What an API server would fill in and istiod uses (age decides between conflicting hosts).
	meta.SetUID(types.UID(name))
	meta.SetCreationTimestamp(metav1.Now())
	// Create would also compute managed fields (1.6 ms an object), Add only stores. But Add guesses the plural of the
	// kind, and its guess for Gateway is wrong.
	if guess, _ := apimeta.UnsafeGuessKindToResource(obj.GetObjectKind().GroupVersionKind()); guess == gvr {
		return name + " created", tracker.Add(obj)
	}
	return name + " created", tracker.Create(gvr, obj, meta.GetNamespace())
}

func remove(client kube.Client, obj k8sruntime.Object) (string, error) {
	tracker, gvr, meta, err := locate(client, obj)
	if err != nil {
		return "", err
	}
	name := gvr.Resource + " " + meta.GetNamespace() + "/" + meta.GetName()
	if err := tracker.Delete(gvr, meta.GetNamespace(), meta.GetName()); !kerrors.IsNotFound(err) {
		return name + " deleted", err
	}
	return name + " absent", nil
}
