// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// generated fills a cluster: 50 services and their pods per namespace, 30 pods per node.
// Service i has address 172.16.0.0 + i, pod i 10.64.0.0 + i; pod i backs service i % services.
func generated(services, workloads int) []k8sruntime.Object {
	const servicesPerNamespace, podsPerNode = 50, 30
	typeMeta := func(version, kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: version, Kind: kind} }
	ip := func(base uint32, i int) string {
		n := base + uint32(i)
		return net.IPv4(byte(n>>24), byte(n>>16), byte(n>>8), byte(n)).String()
	}
	namespaceOf := func(service int) string { return fmt.Sprintf("gen-%d", service/servicesPerNamespace) }
	var objs []k8sruntime.Object
	for i := 0; i < services; i += servicesPerNamespace {
		objs = append(objs, &corev1.Namespace{
			TypeMeta:   typeMeta("v1", "Namespace"),
			ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(i), Labels: map[string]string{"istio.io/dataplane-mode": "ambient"}},
		})
	}
	for i := 0; i*podsPerNode < workloads; i++ {
		objs = append(objs, &corev1.Node{
			TypeMeta: typeMeta("v1", "Node"),
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{
				"topology.kubernetes.io/region": "region-1", "topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i%3),
			}},
		})
	}
	for i := range services {
		name := fmt.Sprintf("svc-%d", i)
		objs = append(objs, &corev1.Service{
			TypeMeta:   typeMeta("v1", "Service"),
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespaceOf(i)},
			Spec: corev1.ServiceSpec{
				ClusterIP:  ip(172<<24+16<<16, i),
				ClusterIPs: []string{ip(172<<24+16<<16, i)},
				Selector:   map[string]string{"app": name},
				Ports: []corev1.ServicePort{
					{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080)},
					{Name: "tcp", Port: 9000, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(9090)},
				},
			},
		})
	}
	for i := range workloads {
		app := fmt.Sprintf("svc-%d", i%services)
		objs = append(objs, &corev1.Pod{
			TypeMeta: typeMeta("v1", "Pod"),
			ObjectMeta: metav1.ObjectMeta{
				Name:        fmt.Sprintf("pod-%d", i),
				Namespace:   namespaceOf(i % services),
				Labels:      map[string]string{"app": app},
				Annotations: map[string]string{"ambient.istio.io/redirection": "enabled"},
			},
			Spec: corev1.PodSpec{ServiceAccountName: app, NodeName: fmt.Sprintf("node-%d", i/podsPerNode)},
			Status: corev1.PodStatus{
				Phase:      corev1.PodRunning,
				PodIP:      ip(10<<24+64<<16, i),
				PodIPs:     []corev1.PodIP{{IP: ip(10<<24+64<<16, i)}},
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			},
		})
	}
	return objs
}
