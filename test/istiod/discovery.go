// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	networkingapi "istio.io/api/networking/v1alpha3"
	securityapi "istio.io/api/security/v1beta1"
	apitype "istio.io/api/type/v1beta1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"istio.io/istio/pilot/pkg/config/memory"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry/aggregate"
	"istio.io/istio/pilot/pkg/serviceregistry/ambient"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/activenotifier"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/krt"
	"istio.io/istio/pkg/kube/multicluster"
	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/workloadapi"
)

const systemNamespace = "istio-system"

// newDiscovery makes the parts of pilot-discovery, in its order (pilot/pkg/bootstrap/server.go). Nothing runs yet.
func (h *harness) newDiscovery() *multicluster.Controller {
	meshWatcher := meshwatcher.NewTestWatcher(must(mesh.ApplyMeshConfigDefaults(*meshConfig)))
	env := model.NewEnvironment()
	env.Watcher = meshWatcher
	env.NetworksWatcher = meshwatcher.NewFixedNetworksWatcher(nil)
	env.DomainSuffix = constants.DefaultClusterLocalDomain
	env.ServiceDiscovery = aggregate.NewController(aggregate.Options{MeshHolder: env, ConfigClusterID: constants.DefaultClusterName})
	store := memory.NewController(memory.Make(collections.PilotGatewayAPI())) // configuration of Envoys: stays empty
	env.ConfigStore = store
	server := xds.NewDiscoveryServer(env, nil, krt.GlobalDebugHandler)
	server.DebounceOptions.DebounceAfter = *debounce
	env.Init()
	check(env.InitNetworksManager(server))
	env.VirtualServiceController = model.NewVirtualServiceController(store,
		model.VSControllerOptions{XDSUpdater: server, KrtDebugger: krt.GlobalDebugHandler}, meshWatcher)
	workloads := &xds.WorkloadGenerator{Server: server}
	server.Generators[v3.AddressType] = workloads
	server.Generators[v3.WorkloadType] = workloads
	server.Generators[v3.WorkloadAuthorizationType] = &xds.WorkloadRBACGenerator{Server: server}
	clusters := multicluster.NewController(multicluster.ControllerOptions{
		Client:          h.client,
		ClusterID:       constants.DefaultClusterName,
		SystemNamespace: systemNamespace,
		MeshConfig:      meshWatcher,
		Debugger:        krt.GlobalDebugHandler,
	})
	index := ambient.New(ambient.Options{
		SystemNamespace:        systemNamespace,
		DomainSuffix:           constants.DefaultClusterLocalDomain,
		ClusterID:              constants.DefaultClusterName,
		XDSUpdater:             server,
		MeshConfig:             meshWatcher,
		StatusNotifier:         activenotifier.New(false),
		Debugger:               krt.GlobalDebugHandler,
		MultiClusterController: clusters,
		Flags: ambient.FeatureFlags{
			DefaultAllowFromWaypoint:              features.DefaultAllowFromWaypoint,
			EnableK8SServiceSelectWorkloadEntries: features.EnableK8SServiceSelectWorkloadEntries,
		},
	})
	env.AmbientIndexes = index
	h.server, h.index, h.env, h.store = server, index, env, store
	return clusters
}

// startDiscovery runs them and returns once the index holds what the cluster does.
func (h *harness) startDiscovery(clusters *multicluster.Controller) {
	stop := make(chan struct{})
	check(clusters.Run(stop))
	h.server.Start(stop)
	go h.store.Run(stop)
	go h.env.VirtualServiceController.Run(stop)
	h.client.RunAndWait(stop)
	go h.index.Run(stop)
	kube.WaitForCacheSync("ambient index", stop, h.index.HasSynced)
	h.settle()
	h.server.ConfigUpdate(&model.PushRequest{Forced: true}) // the first push initialises the push context
	h.server.CachesSynced()
}

const probeNamespace = "istiod-harness"

// settle returns once objects put into the cluster now have passed through the index, and with them whatever was put
// before: the index works on each kind of object in turn, some time after it was stored. (A synced index even goes on to
// compute every pod a second time; with 100000 pods a change has to wait many seconds for that.)
func (h *harness) settle() {
	h.settling.Lock()
	defer h.settling.Unlock()
	h.probes++
	name := fmt.Sprintf("probe-%d", h.probes)
	probes := probeObjects(name)
	for _, obj := range probes {
		must(put(h.client, obj))
	}
	pod := constants.DefaultClusterName + "//Pod/" + probeNamespace + "/" + name
	entry := constants.DefaultClusterName + "/networking.istio.io/WorkloadEntry/" + probeNamespace + "/" + name
	waitUntil(func() bool {
		workload := h.workload(pod)
		return workload != nil && len(workload.Services) == 2 && len(workload.AuthorizationPolicies) == 1 &&
			workload.Locality.GetRegion() == name && h.workload(entry) != nil && len(h.workload(entry).Services) == 2
	})
	for _, obj := range probes {
		must(remove(h.client, obj))
	}
	waitUntil(func() bool {
		services, _ := h.index.AddressInformation(sets.New(
			probeNamespace+"/"+name+".test", probeNamespace+"/"+name+"."+probeNamespace+".svc.cluster.local"))
		return h.workload(pod) == nil && h.workload(entry) == nil && len(services) == 0 && !h.policyKnown(name)
	})
}

func waitUntil(done func() bool) {
	for !done() {
		time.Sleep(2 * time.Millisecond)
	}
}

// workload is what the index serves under a uid; nil when it serves nothing.
func (h *harness) workload(uid string) *workloadapi.Workload {
	addresses, _ := h.index.AddressInformation(sets.New(uid))
	if len(addresses) != 1 {
		return nil
	}
	return addresses[0].GetWorkload()
}

func (h *harness) policyKnown(name string) bool {
	for _, p := range h.index.Policies(nil) {
		if p.Authorization.Name == name {
			return true
		}
	}
	return false
}

// probeObjects is one object of each kind on which other objects' addresses depend, tied to one another by name.
func probeObjects(name string) []k8sruntime.Object {
	kind := func(version, kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: version, Kind: kind} }
	labels := map[string]string{"probe": name}
	meta := metav1.ObjectMeta{Namespace: probeNamespace, Name: name, Labels: labels}
	node := metav1.ObjectMeta{Name: name, Labels: map[string]string{"topology.kubernetes.io/region": name}}
	return []k8sruntime.Object{
		&corev1.Node{TypeMeta: kind("v1", "Node"), ObjectMeta: node},
		&corev1.Service{
			TypeMeta: kind("v1", "Service"), ObjectMeta: meta,
			Spec: corev1.ServiceSpec{ClusterIP: "None", Selector: labels, Ports: []corev1.ServicePort{{Port: 1}}},
		},
		&networking.ServiceEntry{
			TypeMeta: kind("networking.istio.io/v1", "ServiceEntry"), ObjectMeta: meta,
			Spec: networkingapi.ServiceEntry{
				Hosts:            []string{name + ".test"},
				Addresses:        []string{"192.0.2.1"}, // none would be given one for good
				Ports:            []*networkingapi.ServicePort{{Number: 1, Name: "tcp", Protocol: "TCP"}},
				Resolution:       networkingapi.ServiceEntry_STATIC,
				WorkloadSelector: &networkingapi.WorkloadSelector{Labels: labels},
			},
		},
		&securityv1.AuthorizationPolicy{
			TypeMeta: kind("security.istio.io/v1", "AuthorizationPolicy"), ObjectMeta: meta,
			Spec: securityapi.AuthorizationPolicy{Selector: &apitype.WorkloadSelector{MatchLabels: labels}},
		},
		&networking.WorkloadEntry{
			TypeMeta: kind("networking.istio.io/v1", "WorkloadEntry"), ObjectMeta: meta,
			Spec: networkingapi.WorkloadEntry{Address: "192.0.2.2", Labels: labels},
		},
		&corev1.Pod{
			TypeMeta: kind("v1", "Pod"), ObjectMeta: meta,
			Spec: corev1.PodSpec{NodeName: name},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "192.0.2.3"}},
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		},
	}
}
