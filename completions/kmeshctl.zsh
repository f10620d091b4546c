#compdef kmeshctl
# zsh completion for kmeshctl: generated from its list of commands, do not edit.

# Takes flags of commands out of the words before the next name: fills kept and dropped of its caller, as what is done to words lasts as
# long as a function.
_kmeshctl_forget_flags() {
  local -i i=2
  while (( i < CURRENT - dropped )); do
    case $kept[i] in
      (-o|--output|--bpffs|--cgroup-root|--run-dir) (( i += 2 )) ;;
      (-o=*|--output=*|--bpffs=*|--cgroup-root=*|--run-dir=*|--no-color|-v|--verbose|-h|--help) (( i++ )) ;;
      (--address|--ads|--authz|--authz-host-probes|--class|--client-ca|--cluster-id|--concurrency|--config|--context|--drain|--expect|--filter|--for|--from|--heal-interval|--image|--instance-ip|--kind|--kubeconfig|--limit|--listen|--log-level|--map-size|--max-endpoints|--max-frontends|--max-services|--metrics|--name|--namespace|--netns|--network|--node|--on-bad-policy|--on-miss|--pid|--pod|--protocol|--proxy|--proxy-log-level|--revision|--root|--server-first|--server-first-ports|--status|--target|--timeout|--tls-cert|--tls-key|--to|--user|--waypoint-ads|--waypoint-ads-client-ca|--waypoint-ads-tls-cert|--waypoint-ads-tls-key|--waypoint-binding|--waypoint-unready|--workload|--xds|--xds-root-cert|--xds-server-name|--xds-token|-c|-n|-r)
        (( i + 1 < CURRENT - dropped )) || return 0
        kept[i,i+1]=()
        (( dropped += 2 ))
        ;;
      (-?*)
        kept[i]=()
        (( dropped++ ))
        ;;
      (*) return 0 ;;
    esac
  done
}

_kmeshctl() {
  local curcontext=$curcontext state state_descr line
  local -A opt_args
  local -a kept=("${words[@]}")
  local -i dropped=0
  _kmeshctl_forget_flags
  words=("${kept[@]}")
  (( CURRENT -= dropped ))
  _arguments -s -S -C \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:command:->command' \
    '*::argument:->argument'
  case $state in
    command)
      local -a names=(
        'load:load the programs, pin them and attach them to the cgroup root'
        'unload:detach and remove everything that load made'
        'upgrade:swap the loaded programs for those of this version, in place'
        'status:show what is loaded, how full it is, what the agent says and why connections were left alone'
        'check:look at this machine\: can it run the mesh, and is what is there sound'
        'enroll:put the processes of a cgroup into the mesh'
        'unenroll:take a cgroup out of the mesh'
        'enrolled:list what is enrolled, and connections older than their enrolment'
        'exec:run a command inside the mesh'
        'authz:say who may connect to whom, and whether that is enforced'
        'waypoint:run waypoints on this node, make them in a cluster, and see what became of them'
        'agent:keep the kernel as the configuration says'
        'validate:say what the agent would say of configuration files'
        'log:show or change how much the running agent logs'
        'dump:print what the kernel holds and what the agent wants'
        'explain:say where a connection would go, and why'
        'install:make kmeshctl a service of this machine\: loaded at boot, agent kept running'
        'uninstall:take away everything that install and its service made'
        'version:show the versions of this program, the agent and the loaded programs'
        'completion:print the completion script of a shell'
        'demo:show the whole thing on a small shop of services, and check it'
      )
      _describe command names
      ;;
    argument)
      case $line[1] in
        load) _kmeshctl_load ;;
        unload) _kmeshctl_unload ;;
        upgrade) _kmeshctl_upgrade ;;
        status) _kmeshctl_status ;;
        check) _kmeshctl_check ;;
        enroll) _kmeshctl_enroll ;;
        unenroll) _kmeshctl_unenroll ;;
        enrolled) _kmeshctl_enrolled ;;
        exec) _kmeshctl_exec ;;
        authz) _kmeshctl_authz ;;
        waypoint) _kmeshctl_waypoint ;;
        agent) _kmeshctl_agent ;;
        validate) _kmeshctl_validate ;;
        log) _kmeshctl_log ;;
        dump) _kmeshctl_dump ;;
        explain) _kmeshctl_explain ;;
        install) _kmeshctl_install ;;
        uninstall) _kmeshctl_uninstall ;;
        version) _kmeshctl_version ;;
        completion) _kmeshctl_completion ;;
        demo) _kmeshctl_demo ;;
      esac
      ;;
  esac
}

_kmeshctl_load() {
  _arguments -s -S \
    '--or-upgrade[when programs are loaded\: swap them for those of this version if they differ]' \
    '--max-frontends=[room for so many frontends\: address, port and protocol (default\: 131072)]:value: ' \
    '--max-services=[room for so many backends\: one for each port and address family of a service (default\: 131072)]:value: ' \
    '--max-endpoints=[room for so many endpoints of all backends together (default\: 262144)]:value: ' \
    '*--map-size=[entries of any other map by its name]:value: ' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_unload() {
  _arguments -s -S \
    '--force[although workloads are enrolled or an agent runs]' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_upgrade() {
  _arguments -s -S \
    '--max-frontends=[room for so many frontends\: address, port and protocol (default\: 131072)]:value: ' \
    '--max-services=[room for so many backends\: one for each port and address family of a service (default\: 131072)]:value: ' \
    '--max-endpoints=[room for so many endpoints of all backends together (default\: 262144)]:value: ' \
    '*--map-size=[entries of any other map by its name]:value: ' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_status() {
  _arguments -s -S \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_check() {
  _arguments -s -S \
    '--short[only what is not well]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_enroll() {
  _arguments -s -S \
    '--pid=[the cgroup of this process]:value: ' \
    '--netns=[network namespace of its sockets, a name under /run/netns or a path (default\: the processes'\'')]:value:_files' \
    '--workload=[the workload that it is\: decides its locality, its addresses and its view]:value: ' \
    '--authz=[whether policies judge inbound connections (default\: as it is enrolled, else on if an agent runs; without one to be given)]:value:(on off)' \
    '--waypoint[it is a waypoint\: what it calls goes through none]' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:CGROUP:_files -/'
}

_kmeshctl_unenroll() {
  _arguments -s -S \
    '--pid=[the cgroup of this process]:value: ' \
    '--workload=[the cgroups enrolled as this workload]:value: ' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:CGROUP:_files -/'
}

_kmeshctl_enrolled() {
  _arguments -s -S \
    '--prune[remove enrolments of deleted cgroups]' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_exec() {
  _arguments -s -S \
    '--workload=[the workload that the command is]:value: ' \
    '--netns=[network namespace\: a name under /run/netns, or a path]:value:_files' \
    '--authz=[whether policies judge inbound connections (default\: off without --netns; with it on if an agent runs, else to be given)]:value:(on off)' \
    '--waypoint[it is a waypoint\: what it calls goes through none]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '*::CMD:_normal'
}

_kmeshctl_authz() {
  local curcontext=$curcontext state state_descr line
  local -A opt_args
  local -a kept=("${words[@]}")
  local -i dropped=0
  _kmeshctl_forget_flags
  words=("${kept[@]}")
  (( CURRENT -= dropped ))
  _arguments -s -S -C \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:command:->command' \
    '*::argument:->argument'
  case $state in
    command)
      local -a names=(
        'status:list what is judged on this node, by which policies, and what they decided'
        'explain:say whether a connection gets in, and which policy and rule says so'
        'enable:judge inbound connections of workloads that are enrolled'
        'disable:let everything in to workloads that are enrolled, whatever their policies say'
        'check:look over policies in files, and ask them who may connect to whom'
      )
      _describe command names
      ;;
    argument)
      case $line[1] in
        status) _kmeshctl_authz_status ;;
        explain) _kmeshctl_authz_explain ;;
        enable) _kmeshctl_authz_enable ;;
        disable) _kmeshctl_authz_disable ;;
        check) _kmeshctl_authz_check ;;
      esac
      ;;
  esac
}

_kmeshctl_authz_status() {
  _arguments -s -S \
    '--workload=[only what is enrolled as this workload]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_authz_explain() {
  _arguments -s -S \
    '--from=[who connects\: an address, NS/NAME of a workload, a process id, or a cgroup]:value: ' \
    '--to=[to which workload of this node, and which port]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_authz_enable() {
  _arguments -s -S \
    '--workload=[only what is enrolled as this workload (default\: all)]:value: ' \
    '(-y --yes)'{-y,--yes}'[do it, whatever it closes]' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_authz_disable() {
  _arguments -s -S \
    '--workload=[only what is enrolled as this workload (default\: all)]:value: ' \
    '(-y --yes)'{-y,--yes}'[do it, whatever it opens]' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_authz_check() {
  _arguments -s -S \
    '*--expect=[file of cases; or allow or deny, for the question of --from and --to]:value:_files' \
    '--from=[who connects\: a workload (with @ADDRESS where policies ask for it), or an address]:value: ' \
    '--to=[to which workload and port]:value: ' \
    '--strict[warnings fail, too]' \
    '--strict-l7-deny[DENY rules that rest on HTTP attributes are refused, as with the flag of the agent]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '*:FILE:_files'
}

_kmeshctl_waypoint() {
  local curcontext=$curcontext state state_descr line
  local -A opt_args
  local -a kept=("${words[@]}")
  local -i dropped=0
  _kmeshctl_forget_flags
  words=("${kept[@]}")
  (( CURRENT -= dropped ))
  _arguments -s -S -C \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:command:->command' \
    '*::argument:->argument'
  case $state in
    command)
      local -a names=(
        'generate:print the Gateway that asks for a waypoint'
        'apply:make a waypoint in a cluster, or change it'
        'delete:delete waypoints from a cluster'
        'list:list the waypoints of a cluster'
        'status:show conditions of waypoints, routes and policies, and what proxies refuse'
        'serve:tell the proxies of waypoints what their routes and policies are'
        'run:run a waypoint on this node\: a stock Envoy'
      )
      _describe command names
      ;;
    argument)
      case $line[1] in
        generate) _kmeshctl_waypoint_generate ;;
        apply) _kmeshctl_waypoint_apply ;;
        delete) _kmeshctl_waypoint_delete ;;
        list) _kmeshctl_waypoint_list ;;
        status) _kmeshctl_waypoint_status ;;
        serve) _kmeshctl_waypoint_serve ;;
        run) _kmeshctl_waypoint_run ;;
      esac
      ;;
  esac
}

_kmeshctl_waypoint_generate() {
  _arguments -s -S \
    '(-n --namespace)'{-n,--namespace=}'[namespace of the waypoint]:value: ' \
    '--name=[name of the waypoint]:value: ' \
    '--for=[which traffic it is for\: to services, to workloads by their own addresses (default\: as its class says, else service)]:value:(service workload all none)' \
    '(-r --revision)'{-r,--revision=}'[revision of the control plane that it belongs to]:value: ' \
    '--class=[its GatewayClass; istiod configures istio-waypoint, kmeshctl kmesh-waypoint]:value:(istio-waypoint kmesh-waypoint)' \
    '--protocol=[header in which it is told of the original destination (default\: as nodes assume, proxy/15088)]:value:(proxy kmesh none)' \
    '--image=[image of the proxy, in place of the one that istiod chooses]:value: ' \
    '*--address=[where it is, for a folder that agents read\: an IP address or a host name]:value: ' \
    '--envoyfilter[the EnvoyFilter for a waypoint of istiod, in place of the Gateway]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_waypoint_apply() {
  _arguments -s -S \
    '(-n --namespace)'{-n,--namespace=}'[namespace of the waypoint (default\: that of the context)]:value: ' \
    '(-c --kubeconfig)'{-c,--kubeconfig=}'[kubeconfig (default\: the files of KUBECONFIG, then ~/.kube/config, then the pod it runs in)]:value:_files' \
    '--context=[context of the kubeconfig (default\: its current one)]:value: ' \
    '--name=[name of the waypoint]:value: ' \
    '--for=[which traffic it is for\: to services, to workloads by their own addresses (default\: as its class says, else service)]:value:(service workload all none)' \
    '(-r --revision)'{-r,--revision=}'[revision of the control plane that it belongs to]:value: ' \
    '--class=[its GatewayClass; istiod configures istio-waypoint, kmeshctl kmesh-waypoint]:value:(istio-waypoint kmesh-waypoint)' \
    '--protocol=[header in which it is told of the original destination (default\: as nodes assume, proxy/15088)]:value:(proxy kmesh none)' \
    '--image=[image of the proxy, in place of the one that istiod chooses]:value: ' \
    '--enroll-namespace[label the namespace to use it]' \
    '--overwrite[with --enroll-namespace\: also when the namespace uses another waypoint]' \
    '--force-conflicts[take over fields of the Gateway that other field managers own]' \
    '(-w --wait)'{-w,--wait}'[until it is programmed, telling what it waits for]' \
    '--timeout=[how long to wait]:value: ' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_waypoint_delete() {
  _arguments -s -S \
    '(-n --namespace)'{-n,--namespace=}'[namespace of the waypoint (default\: that of the context)]:value: ' \
    '(-c --kubeconfig)'{-c,--kubeconfig=}'[kubeconfig (default\: the files of KUBECONFIG, then ~/.kube/config, then the pod it runs in)]:value:_files' \
    '--context=[context of the kubeconfig (default\: its current one)]:value: ' \
    '--all[all waypoints of the namespace]' \
    '(-r --revision)'{-r,--revision=}'[those of this revision]:value: ' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '*:NAME: '
}

_kmeshctl_waypoint_list() {
  _arguments -s -S \
    '(-n --namespace)'{-n,--namespace=}'[namespace of the waypoint (default\: that of the context)]:value: ' \
    '(-c --kubeconfig)'{-c,--kubeconfig=}'[kubeconfig (default\: the files of KUBECONFIG, then ~/.kube/config, then the pod it runs in)]:value:_files' \
    '--context=[context of the kubeconfig (default\: its current one)]:value: ' \
    '(-A --all-namespaces)'{-A,--all-namespaces}'[waypoints of all namespaces]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_waypoint_status() {
  _arguments -s -S \
    '--from=[only the Gateways of the cluster, or only what the control plane on this node knows (default\: both)]:value:(cluster node)' \
    '(-n --namespace)'{-n,--namespace=}'[namespace of the waypoint (default\: that of the context)]:value: ' \
    '(-c --kubeconfig)'{-c,--kubeconfig=}'[kubeconfig (default\: the files of KUBECONFIG, then ~/.kube/config, then the pod it runs in)]:value:_files' \
    '--context=[context of the kubeconfig (default\: its current one)]:value: ' \
    '(-A --all-namespaces)'{-A,--all-namespaces}'[waypoints of all namespaces]' \
    '(-w --wait)'{-w,--wait}'[until it is programmed, telling what it waits for]' \
    '--timeout=[how long to wait]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '*:NAME: '
}

_kmeshctl_waypoint_serve() {
  _arguments -s -S \
    '*--config=[where configuration is; - reads standard input once]:value:_files' \
    '--listen=[where proxies connect to (default\: 127.0.0.1\:15010)]:value: ' \
    '--tls-cert=[certificate of that address, in PEM, read again when it changes; without it plain text]:value:_files' \
    '--tls-key=[its key]:value:_files' \
    '--client-ca=[proxies must show a certificate that one of these signed]:value:_files' \
    '--status=[where status (/), /metrics, /healthz/live and /healthz/ready are served over HTTP (default\: nowhere)]:value: ' \
    '--require-grants[let routes use backends of other namespaces only where a ReferenceGrant says so]' \
    '--log-level=[how much is logged]:value:(trace debug info warn error fatal silent)' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_waypoint_run() {
  _arguments -s -S \
    '(-n --namespace)'{-n,--namespace=}'[namespace of the waypoint (default\: default, or that of the context)]:value: ' \
    '--proxy=[Envoy'\''s program (default\: envoy in PATH)]:value:_files' \
    '--ads=[control plane (default\: that of this node\: its agent'\''s, with --waypoint-ads, else "kmeshctl waypoint serve")]:value: ' \
    '*--config=[be the control plane, from this configuration]:value:_files' \
    '--listen=[where Envoy listens (default\: the Gateway'\''s address, port of its binding)]:value: ' \
    '--netns=[network namespace\: a name under /run/netns, or a path]:value:_files' \
    '--authz=[whether policies judge what comes to the network of the waypoint itself]:value:(on off)' \
    '--user=[whom Envoy runs as\: a name, UID or UID\:GID]:value: ' \
    '--concurrency=[Envoy'\''s worker threads; 0\: as many as there are processors]:value: ' \
    '--proxy-log-level=[how much Envoy logs]:value:(trace debug info warning error critical off)' \
    '--log-level=[how much else is logged]:value:(trace debug info warn error fatal silent)' \
    '--drain=[how long requests may finish when it is told to stop]:value: ' \
    '--timeout=[how long it may take until Envoy listens for the first time]:value: ' \
    '(-c --kubeconfig)'{-c,--kubeconfig=}'[say in this cluster that the Gateway is programmed, and where]:value:_files' \
    '--context=[the same, with this context of the kubeconfig]:value: ' \
    '--no-restart[end with Envoy, by its exit code, in place of starting it again]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:NAME: ' \
    '*:ARG: '
}

_kmeshctl_agent() {
  _arguments -s -S \
    '--xds=[control plane to subscribe to (default without --config\: istiod.istio-system.svc\:15012)]:value: ' \
    '*--config=[where configuration is; - reads standard input once]:value:_files' \
    '--xds-plaintext[speak to the control plane without TLS\: port 15010 of istiod]' \
    '--xds-root-cert=[certificates that the control plane must be signed by (default\: $XDS_ROOT_CA, /var/run/secrets/istio/root-cert.pem)]:value:_files' \
    '--xds-token=[token to show to the control plane, read for each stream (default\: $AUTH_TOKEN, /var/run/secrets/tokens/istio-token)]:value:_files' \
    '--xds-server-name=[name in the certificate of the control plane (default\: $ALT_XDS_HOSTNAME, its host)]:value: ' \
    '--xds-on-demand[learn addresses when they are first dialled, for large meshes (also\: XDS_ON_DEMAND=true)]' \
    '--on-miss=[first connection to an address that is not known yet\: goes where it was dialled, or is refused (default\: direct)]:value:(direct refuse)' \
    '--cluster-id=[cluster that this node is of (default\: $CLUSTER_ID, Kubernetes with --xds)]:value: ' \
    '--network=[network that this node is on (default\: $NETWORK, else what this node'\''s workloads say)]:value: ' \
    '--pod=[pod that the agent runs as, for the control plane (default\: $POD_NAMESPACE, $POD_NAME)]:value: ' \
    '--instance-ip=[address of the agent, for the control plane (default\: $INSTANCE_IP)]:value: ' \
    '--node=[name of this node\: its locality and node-local policies need it (default\: the host'\''s name)]:value: ' \
    '--authz-host-probes=[connections from this node'\''s own addresses, as the kubelet'\''s probes\: allow lets them pass, deny judges them as others]:value:(allow deny)' \
    '--on-bad-policy=[a policy whose last version is refused\: keep the one before, or close what it holds for]:value:(keep close)' \
    '--strict-l7-deny[close what a DENY policy holds for that rests on HTTP attributes, which are not judged here]' \
    '--waypoint-binding=[what waypoints read first that do not say\: PROXY, KMESH or NONE, with /PORT or without (default\: PROXY/15088)]:value: ' \
    '--waypoint-ads=[where Envoys of waypoints are told their routes and policies, such as 127.0.0.1\:15010 (default\: nowhere)]:value: ' \
    '--waypoint-ads-tls-cert=[certificate of that address, in PEM, read again when it changes; without it plain text]:value:_files' \
    '--waypoint-ads-tls-key=[its key]:value:_files' \
    '--waypoint-ads-client-ca=[Envoys must show a certificate that one of these signed]:value:_files' \
    '--waypoint-ads-require-grants[let routes of waypoints use backends of other namespaces only where a ReferenceGrant says so]' \
    '--waypoint-unready=[connections whose waypoint has no usable endpoint\: refused, or past it to the service]:value:(refuse direct)' \
    '--server-first=[connections through a waypoint to a port whose server speaks first, as of MySQL\: refused, or past the waypoint]:value:(refuse direct)' \
    '--server-first-ports=[more ports of such servers where a service says nothing, such as 5672,9042]:value: ' \
    '--log-level=[how much is logged; "kmeshctl log" changes it later]:value:(trace debug info warn error fatal silent)' \
    '--heal-interval=[how often the whole kernel state is compared and repaired; 0s\: never]:value: ' \
    '--metrics=[where metrics and health are served over HTTP, such as \:15020 (default\: nowhere)]:value: ' \
    '--max-frontends=[room for so many frontends\: address, port and protocol (default\: 131072)]:value: ' \
    '--max-services=[room for so many backends\: one for each port and address family of a service (default\: 131072)]:value: ' \
    '--max-endpoints=[room for so many endpoints of all backends together (default\: 262144)]:value: ' \
    '*--map-size=[entries of any other map by its name]:value: ' \
    '--take-over[end the agent that runs here already, and go on in its place]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_validate() {
  _arguments -s -S \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '*:FILE:_files'
}

_kmeshctl_log() {
  _arguments -s -S \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:LEVEL:(trace debug info warn error fatal silent)'
}

_kmeshctl_dump() {
  local curcontext=$curcontext state state_descr line
  local -A opt_args
  local -a kept=("${words[@]}")
  local -i dropped=0
  _kmeshctl_forget_flags
  words=("${kept[@]}")
  (( CURRENT -= dropped ))
  _arguments -s -S -C \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:command:->command' \
    '*::argument:->argument'
  case $state in
    command)
      local -a names=(
        'maps:print what the pinned maps hold, decoded by their own type information'
        'services:list the services that the kernel balances, with their endpoints'
        'workloads:list the workloads that the kernel knows'
        'config:list the workloads, services, policies, gateways and routes as the agent has them'
        'diff:compare what the agent wants with what the kernel holds'
      )
      _describe command names
      ;;
    argument)
      case $line[1] in
        maps) _kmeshctl_dump_maps ;;
        services) _kmeshctl_dump_services ;;
        workloads) _kmeshctl_dump_workloads ;;
        config) _kmeshctl_dump_config ;;
        diff) _kmeshctl_dump_diff ;;
      esac
      ;;
  esac
}

_kmeshctl_dump_maps() {
  _arguments -s -S \
    '--raw[keys and values as bytes in hex]' \
    '--filter=[only entries that contain it]:value: ' \
    '--limit=[at most so many entries of each map]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '*:MAP:(frontend variant cidr backend endpoint maglev setting enrolled level client sock reason active robin affinity udp_flow udp_reverse waypoint_sock waypoint_client waypoint_service waypoint_port miss misses authz_dest authz_stack authz_set authz_source authz_value authz_range authz_word authz_member authz_state authz_hit denial_limit denials pod_address sent listening enrolment name)'
}

_kmeshctl_dump_services() {
  _arguments -s -S \
    '--filter=[only those that contain it]:value: ' \
    '--limit=[at most so many]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_dump_workloads() {
  _arguments -s -S \
    '--filter=[only those that contain it]:value: ' \
    '--limit=[at most so many]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_dump_config() {
  _arguments -s -S \
    '--kind=[only those]:value:(workload service policy gateway route)' \
    '--origin[show the source that each is taken from, and those that give it too]' \
    '--filter=[only those that contain it]:value: ' \
    '--limit=[at most so many]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_dump_diff() {
  _arguments -s -S \
    '--limit=[at most so many differences]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_explain() {
  _arguments -s -S \
    '--from=[the client\: a cgroup path, NS/NAME of a workload, or a process id (default\: any enrolled client)]:value: ' \
    '--to=[the destination as the client would dial it]:value: ' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_install() {
  _arguments -s -S \
    '--target=[where to\: node is this machine]:value:(node)' \
    '--root=[an image below this folder, in place of this machine]:value:_files -/' \
    '--xds=[control plane to subscribe to (default without --config\: istiod.istio-system.svc\:15012)]:value: ' \
    '*--config=[where configuration is; - reads standard input once]:value:_files' \
    '--xds-plaintext[speak to the control plane without TLS\: port 15010 of istiod]' \
    '--xds-root-cert=[certificates that the control plane must be signed by (default\: $XDS_ROOT_CA, /var/run/secrets/istio/root-cert.pem)]:value:_files' \
    '--xds-token=[token to show to the control plane, read for each stream (default\: $AUTH_TOKEN, /var/run/secrets/tokens/istio-token)]:value:_files' \
    '--xds-server-name=[name in the certificate of the control plane (default\: $ALT_XDS_HOSTNAME, its host)]:value: ' \
    '--xds-on-demand[learn addresses when they are first dialled, for large meshes (also\: XDS_ON_DEMAND=true)]' \
    '--on-miss=[first connection to an address that is not known yet\: goes where it was dialled, or is refused (default\: direct)]:value:(direct refuse)' \
    '--cluster-id=[cluster that this node is of (default\: $CLUSTER_ID, Kubernetes with --xds)]:value: ' \
    '--network=[network that this node is on (default\: $NETWORK, else what this node'\''s workloads say)]:value: ' \
    '--pod=[pod that the agent runs as, for the control plane (default\: $POD_NAMESPACE, $POD_NAME)]:value: ' \
    '--instance-ip=[address of the agent, for the control plane (default\: $INSTANCE_IP)]:value: ' \
    '--node=[name of this node\: its locality and node-local policies need it (default\: the host'\''s name)]:value: ' \
    '--authz-host-probes=[connections from this node'\''s own addresses, as the kubelet'\''s probes\: allow lets them pass, deny judges them as others]:value:(allow deny)' \
    '--on-bad-policy=[a policy whose last version is refused\: keep the one before, or close what it holds for]:value:(keep close)' \
    '--strict-l7-deny[close what a DENY policy holds for that rests on HTTP attributes, which are not judged here]' \
    '--waypoint-binding=[what waypoints read first that do not say\: PROXY, KMESH or NONE, with /PORT or without (default\: PROXY/15088)]:value: ' \
    '--waypoint-ads=[where Envoys of waypoints are told their routes and policies, such as 127.0.0.1\:15010 (default\: nowhere)]:value: ' \
    '--waypoint-ads-tls-cert=[certificate of that address, in PEM, read again when it changes; without it plain text]:value:_files' \
    '--waypoint-ads-tls-key=[its key]:value:_files' \
    '--waypoint-ads-client-ca=[Envoys must show a certificate that one of these signed]:value:_files' \
    '--waypoint-ads-require-grants[let routes of waypoints use backends of other namespaces only where a ReferenceGrant says so]' \
    '--waypoint-unready=[connections whose waypoint has no usable endpoint\: refused, or past it to the service]:value:(refuse direct)' \
    '--server-first=[connections through a waypoint to a port whose server speaks first, as of MySQL\: refused, or past the waypoint]:value:(refuse direct)' \
    '--server-first-ports=[more ports of such servers where a service says nothing, such as 5672,9042]:value: ' \
    '--log-level=[how much is logged; "kmeshctl log" changes it later]:value:(trace debug info warn error fatal silent)' \
    '--heal-interval=[how often the whole kernel state is compared and repaired; 0s\: never]:value: ' \
    '--metrics=[where metrics and health are served over HTTP, such as \:15020 (default\: nowhere)]:value: ' \
    '--max-frontends=[room for so many frontends\: address, port and protocol (default\: 131072)]:value: ' \
    '--max-services=[room for so many backends\: one for each port and address family of a service (default\: 131072)]:value: ' \
    '--max-endpoints=[room for so many endpoints of all backends together (default\: 262144)]:value: ' \
    '*--map-size=[entries of any other map by its name]:value: ' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_uninstall() {
  _arguments -s -S \
    '--target=[where from\: node is this machine]:value:(node)' \
    '--root=[an image below this folder, in place of this machine]:value:_files -/' \
    '--keep-programs[leave the programs in the kernel\: they work on with what they know]' \
    '--force[although workloads are enrolled\: they are in the mesh no more]' \
    '--dry-run[change nothing\: print what would be done]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_version() {
  _arguments -s -S \
    '--client[only of this program]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

_kmeshctl_completion() {
  _arguments -s -S \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]' \
    '1:SHELL:(bash zsh fish)'
}

_kmeshctl_demo() {
  _arguments -s -S \
    '--keep[leave everything up and print how to look around]' \
    '(-o --output)'{-o,--output=}'[how the result is printed]:value:(table json yaml)' \
    '--no-color[no colours (also\: NO_COLOR set, or output that is not a terminal)]' \
    '(-v --verbose)'{-v,--verbose}'[on failure print every cause and the whole log of the kernel verifier]' \
    '--bpffs=[folder on a bpffs that holds the pins]:value:_files -/' \
    '--cgroup-root=[cgroup2 folder that programs are attached to]:value:_files -/' \
    '--run-dir=[folder for the lock and the agent'\''s socket]:value:_files -/' \
    '(-h --help)'{-h,--help}'[show help]'
}

# Autoloaded from $fpath this file is the function; sourced, it defines it.
if [[ ${funcstack[1]} == _kmeshctl ]]; then
  _kmeshctl "$@"
else
  compdef _kmeshctl kmeshctl
fi
