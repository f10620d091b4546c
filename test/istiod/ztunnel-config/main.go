// SPDX-License-Identifier: Apache-2.0

// Command ztunnel-config prints what "istioctl ztunnel-config workload|service|policy|certificate|connections|all -f FILE"
// prints, with istioctl's own reader and writers. (istioctl as a whole would also want a Kubernetes client.)
package main

import (
	"fmt"
	"os"

	"istio.io/istio/istioctl/pkg/writer/ztunnel/configdump"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run takes KIND FILE [short|json|yaml].
func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: ztunnel-config KIND FILE [short|json|yaml]")
	}
	dump, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	w := &configdump.ConfigWriter{Stdout: os.Stdout, FullDump: dump}
	if err := w.Prime(dump); err != nil {
		return err
	}
	format := "short"
	if len(args) > 2 {
		format = args[2]
	}
	short := format == "short"
	switch args[0] {
	case "workload":
		if short {
			return w.PrintWorkloadSummary(configdump.WorkloadFilter{})
		}
		return w.PrintWorkloadDump(configdump.WorkloadFilter{}, format)
	case "service":
		if short {
			return w.PrintServiceSummary(configdump.ServiceFilter{})
		}
		return w.PrintServiceDump(configdump.ServiceFilter{}, format)
	case "policy":
		if short {
			return w.PrintPolicySummary(configdump.PolicyFilter{})
		}
		return w.PrintPolicyDump(configdump.PolicyFilter{}, format)
	case "certificate":
		if short {
			return w.PrintSecretSummary()
		}
		return w.PrintSecretDump(format)
	case "connections":
		if short {
			return w.PrintConnectionsSummary(configdump.ConnectionsFilter{})
		}
		return w.PrintConnectionsDump(configdump.ConnectionsFilter{}, format)
	case "all":
		if short {
			return w.PrintFullSummary(true)
		}
		return w.PrintFullDump(format)
	}
	return fmt.Errorf("no such kind: %s", args[0])
}
