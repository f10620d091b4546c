# bash completion for kmeshctl: generated from its list of commands, do not edit.
_kmeshctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  local path='' count=0 after='' words='' kind='' word i
  # --flag=value comes as three words.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ -n $after ]]; then
      ((++count))
      continue
    fi
    case $word in
      --) after=yes prev='' ;;
      --address | --ads | --authz | --authz-host-probes | --bpffs | --cgroup-root | --class | --client-ca | --cluster-id | --concurrency | --config | --context | --drain | --expect | --filter | --for | --from | --heal-interval | --image | --instance-ip | --kind | --kubeconfig | --limit | --listen | --log-level | --map-size | --max-endpoints | --max-frontends | --max-services | --metrics | --name | --namespace | --netns | --network | --node | --on-bad-policy | --on-miss | --output | --pid | --pod | --protocol | --proxy | --proxy-log-level | --revision | --root | --run-dir | --server-first | --server-first-ports | --status | --target | --timeout | --tls-cert | --tls-key | --to | --user | --waypoint-ads | --waypoint-ads-client-ca | --waypoint-ads-tls-cert | --waypoint-ads-tls-key | --waypoint-binding | --waypoint-unready | --workload | --xds | --xds-root-cert | --xds-server-name | --xds-token | -c | -n | -o | -r)
        [[ ${COMP_WORDS[i + 1]} == '=' ]] && ((++i))
        ((++i))
        ;;
      -*) ;;
      *)
        case "$path:$word" in
          ':load' | ':unload' | ':upgrade' | ':status' | ':check' | ':enroll' | ':unenroll' | ':enrolled' | ':exec' | ':authz' | ':waypoint' | ':agent' | ':validate' | ':log' | ':dump' | ':explain' | ':install' | ':uninstall' | ':version' | ':completion' | ':demo' | 'authz:status' | 'authz:explain' | 'authz:enable' | 'authz:disable' | 'authz:check' | 'waypoint:generate' | 'waypoint:apply' | 'waypoint:delete' | 'waypoint:list' | 'waypoint:status' | 'waypoint:serve' | 'waypoint:run' | 'dump:maps' | 'dump:services' | 'dump:workloads' | 'dump:config' | 'dump:diff')
            path="${path:+$path }$word"
            ;;
          *) ((++count)) ;;
        esac
        ;;
    esac
  done
  if [[ -z $after ]]; then
    case "$path:$prev" in
      'load:--max-frontends') : ;;
      'load:--max-services') : ;;
      'load:--max-endpoints') : ;;
      'load:--map-size') : ;;
      'upgrade:--max-frontends') : ;;
      'upgrade:--max-services') : ;;
      'upgrade:--max-endpoints') : ;;
      'upgrade:--map-size') : ;;
      'enroll:--pid') : ;;
      'enroll:--netns') kind=file ;;
      'enroll:--workload') : ;;
      'enroll:--authz') words='on off' ;;
      'unenroll:--pid') : ;;
      'unenroll:--workload') : ;;
      'exec:--workload') : ;;
      'exec:--netns') kind=file ;;
      'exec:--authz') words='on off' ;;
      'authz status:--workload') : ;;
      'authz explain:--from') : ;;
      'authz explain:--to') : ;;
      'authz enable:--workload') : ;;
      'authz disable:--workload') : ;;
      'authz check:--expect') kind=file ;;
      'authz check:--from') : ;;
      'authz check:--to') : ;;
      'waypoint generate:-n' | 'waypoint generate:--namespace') : ;;
      'waypoint generate:--name') : ;;
      'waypoint generate:--for') words='service workload all none' ;;
      'waypoint generate:-r' | 'waypoint generate:--revision') : ;;
      'waypoint generate:--class') words='istio-waypoint kmesh-waypoint' ;;
      'waypoint generate:--protocol') words='proxy kmesh none' ;;
      'waypoint generate:--image') : ;;
      'waypoint generate:--address') : ;;
      'waypoint apply:-n' | 'waypoint apply:--namespace') : ;;
      'waypoint apply:-c' | 'waypoint apply:--kubeconfig') kind=file ;;
      'waypoint apply:--context') : ;;
      'waypoint apply:--name') : ;;
      'waypoint apply:--for') words='service workload all none' ;;
      'waypoint apply:-r' | 'waypoint apply:--revision') : ;;
      'waypoint apply:--class') words='istio-waypoint kmesh-waypoint' ;;
      'waypoint apply:--protocol') words='proxy kmesh none' ;;
      'waypoint apply:--image') : ;;
      'waypoint apply:--timeout') : ;;
      'waypoint delete:-n' | 'waypoint delete:--namespace') : ;;
      'waypoint delete:-c' | 'waypoint delete:--kubeconfig') kind=file ;;
      'waypoint delete:--context') : ;;
      'waypoint delete:-r' | 'waypoint delete:--revision') : ;;
      'waypoint list:-n' | 'waypoint list:--namespace') : ;;
      'waypoint list:-c' | 'waypoint list:--kubeconfig') kind=file ;;
      'waypoint list:--context') : ;;
      'waypoint status:--from') words='cluster node' ;;
      'waypoint status:-n' | 'waypoint status:--namespace') : ;;
      'waypoint status:-c' | 'waypoint status:--kubeconfig') kind=file ;;
      'waypoint status:--context') : ;;
      'waypoint status:--timeout') : ;;
      'waypoint serve:--config') kind=file ;;
      'waypoint serve:--listen') : ;;
      'waypoint serve:--tls-cert') kind=file ;;
      'waypoint serve:--tls-key') kind=file ;;
      'waypoint serve:--client-ca') kind=file ;;
      'waypoint serve:--status') : ;;
      'waypoint serve:--log-level') words='trace debug info warn error fatal silent' ;;
      'waypoint run:-n' | 'waypoint run:--namespace') : ;;
      'waypoint run:--proxy') kind=file ;;
      'waypoint run:--ads') : ;;
      'waypoint run:--config') kind=file ;;
      'waypoint run:--listen') : ;;
      'waypoint run:--netns') kind=file ;;
      'waypoint run:--authz') words='on off' ;;
      'waypoint run:--user') : ;;
      'waypoint run:--concurrency') : ;;
      'waypoint run:--proxy-log-level') words='trace debug info warning error critical off' ;;
      'waypoint run:--log-level') words='trace debug info warn error fatal silent' ;;
      'waypoint run:--drain') : ;;
      'waypoint run:--timeout') : ;;
      'waypoint run:-c' | 'waypoint run:--kubeconfig') kind=file ;;
      'waypoint run:--context') : ;;
      'agent:--xds') : ;;
      'agent:--config') kind=file ;;
      'agent:--xds-root-cert') kind=file ;;
      'agent:--xds-token') kind=file ;;
      'agent:--xds-server-name') : ;;
      'agent:--on-miss') words='direct refuse' ;;
      'agent:--cluster-id') : ;;
      'agent:--network') : ;;
      'agent:--pod') : ;;
      'agent:--instance-ip') : ;;
      'agent:--node') : ;;
      'agent:--authz-host-probes') words='allow deny' ;;
      'agent:--on-bad-policy') words='keep close' ;;
      'agent:--waypoint-binding') : ;;
      'agent:--waypoint-ads') : ;;
      'agent:--waypoint-ads-tls-cert') kind=file ;;
      'agent:--waypoint-ads-tls-key') kind=file ;;
      'agent:--waypoint-ads-client-ca') kind=file ;;
      'agent:--waypoint-unready') words='refuse direct' ;;
      'agent:--server-first') words='refuse direct' ;;
      'agent:--server-first-ports') : ;;
      'agent:--log-level') words='trace debug info warn error fatal silent' ;;
      'agent:--heal-interval') : ;;
      'agent:--metrics') : ;;
      'agent:--max-frontends') : ;;
      'agent:--max-services') : ;;
      'agent:--max-endpoints') : ;;
      'agent:--map-size') : ;;
      'dump maps:--filter') : ;;
      'dump maps:--limit') : ;;
      'dump services:--filter') : ;;
      'dump services:--limit') : ;;
      'dump workloads:--filter') : ;;
      'dump workloads:--limit') : ;;
      'dump config:--kind') words='workload service policy gateway route' ;;
      'dump config:--filter') : ;;
      'dump config:--limit') : ;;
      'dump diff:--limit') : ;;
      'explain:--from') : ;;
      'explain:--to') : ;;
      'install:--target') words='node' ;;
      'install:--root') kind=directory ;;
      'install:--xds') : ;;
      'install:--config') kind=file ;;
      'install:--xds-root-cert') kind=file ;;
      'install:--xds-token') kind=file ;;
      'install:--xds-server-name') : ;;
      'install:--on-miss') words='direct refuse' ;;
      'install:--cluster-id') : ;;
      'install:--network') : ;;
      'install:--pod') : ;;
      'install:--instance-ip') : ;;
      'install:--node') : ;;
      'install:--authz-host-probes') words='allow deny' ;;
      'install:--on-bad-policy') words='keep close' ;;
      'install:--waypoint-binding') : ;;
      'install:--waypoint-ads') : ;;
      'install:--waypoint-ads-tls-cert') kind=file ;;
      'install:--waypoint-ads-tls-key') kind=file ;;
      'install:--waypoint-ads-client-ca') kind=file ;;
      'install:--waypoint-unready') words='refuse direct' ;;
      'install:--server-first') words='refuse direct' ;;
      'install:--server-first-ports') : ;;
      'install:--log-level') words='trace debug info warn error fatal silent' ;;
      'install:--heal-interval') : ;;
      'install:--metrics') : ;;
      'install:--max-frontends') : ;;
      'install:--max-services') : ;;
      'install:--max-endpoints') : ;;
      'install:--map-size') : ;;
      'uninstall:--target') words='node' ;;
      'uninstall:--root') kind=directory ;;
      *':-o' | *':--output') words='table json yaml' ;;
      *':--bpffs') kind=directory ;;
      *':--cgroup-root') kind=directory ;;
      *':--run-dir') kind=directory ;;
      *) kind=none ;;
    esac
  fi
  if [[ $kind == none && $cur == -* ]]; then
    case "$path" in
      '') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'load') words='--or-upgrade --max-frontends --max-services --max-endpoints --map-size --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'unload') words='--force --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'upgrade') words='--max-frontends --max-services --max-endpoints --map-size --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'status') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'check') words='--short -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'enroll') words='--pid --netns --workload --authz --waypoint --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'unenroll') words='--pid --workload --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'enrolled') words='--prune --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'exec') words='--workload --netns --authz --waypoint -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'authz') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'authz status') words='--workload -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'authz explain') words='--from --to -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'authz enable') words='--workload -y --yes --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'authz disable') words='--workload -y --yes --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'authz check') words='--expect --from --to --strict --strict-l7-deny -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint generate') words='-n --namespace --name --for -r --revision --class --protocol --image --address --envoyfilter -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint apply') words='-n --namespace -c --kubeconfig --context --name --for -r --revision --class --protocol --image --enroll-namespace --overwrite --force-conflicts -w --wait --timeout --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint delete') words='-n --namespace -c --kubeconfig --context --all -r --revision --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint list') words='-n --namespace -c --kubeconfig --context -A --all-namespaces -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint status') words='--from -n --namespace -c --kubeconfig --context -A --all-namespaces -w --wait --timeout -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint serve') words='--config --listen --tls-cert --tls-key --client-ca --status --require-grants --log-level -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'waypoint run') words='-n --namespace --proxy --ads --config --listen --netns --authz --user --concurrency --proxy-log-level --log-level --drain --timeout -c --kubeconfig --context --no-restart -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'agent') words='--xds --config --xds-plaintext --xds-root-cert --xds-token --xds-server-name --xds-on-demand --on-miss --cluster-id --network --pod --instance-ip --node --authz-host-probes --on-bad-policy --strict-l7-deny --waypoint-binding --waypoint-ads --waypoint-ads-tls-cert --waypoint-ads-tls-key --waypoint-ads-client-ca --waypoint-ads-require-grants --waypoint-unready --server-first --server-first-ports --log-level --heal-interval --metrics --max-frontends --max-services --max-endpoints --map-size --take-over -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'validate') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'log') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'dump') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'dump maps') words='--raw --filter --limit -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'dump services') words='--filter --limit -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'dump workloads') words='--filter --limit -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'dump config') words='--kind --origin --filter --limit -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'dump diff') words='--limit -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'explain') words='--from --to -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'install') words='--target --root --xds --config --xds-plaintext --xds-root-cert --xds-token --xds-server-name --xds-on-demand --on-miss --cluster-id --network --pod --instance-ip --node --authz-host-probes --on-bad-policy --strict-l7-deny --waypoint-binding --waypoint-ads --waypoint-ads-tls-cert --waypoint-ads-tls-key --waypoint-ads-client-ca --waypoint-ads-require-grants --waypoint-unready --server-first --server-first-ports --log-level --heal-interval --metrics --max-frontends --max-services --max-endpoints --map-size --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'uninstall') words='--target --root --keep-programs --force --dry-run -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'version') words='--client -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'completion') words='-o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
      'demo') words='--keep -o --output --no-color -v --verbose --bpffs --cgroup-root --run-dir -h --help' ;;
    esac
  elif [[ $kind == none || -n $after ]]; then
    case "$path:$count" in
      ':0') words='load unload upgrade status check enroll unenroll enrolled exec authz waypoint agent validate log dump explain install uninstall version completion demo' ;;
      'enroll:'0) kind=directory ;;
      'unenroll:'0) kind=directory ;;
      'exec:'*) kind=command ;;
      'authz:0') words='status explain enable disable check' ;;
      'authz check:'*) kind=file ;;
      'waypoint:0') words='generate apply delete list status serve run' ;;
      'waypoint delete:'*) : ;;
      'waypoint status:'*) : ;;
      'waypoint run:'0) : ;;
      'waypoint run:'*) : ;;
      'validate:'*) kind=file ;;
      'log:'0) words='trace debug info warn error fatal silent' ;;
      'dump:0') words='maps services workloads config diff' ;;
      'dump maps:'*) words='frontend variant cidr backend endpoint maglev setting enrolled level client sock reason active robin affinity udp_flow udp_reverse waypoint_sock waypoint_client waypoint_service waypoint_port miss misses authz_dest authz_stack authz_set authz_source authz_value authz_range authz_word authz_member authz_state authz_hit denial_limit denials pod_address sent listening enrolment name' ;;
      'completion:'0) words='bash zsh fish' ;;
    esac
  fi
  COMPREPLY=()
  case $kind in
    file)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      ;;
    directory)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    *) [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
  esac
  return 0
}
complete -F _kmeshctl kmeshctl
