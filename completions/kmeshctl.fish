# fish completion for kmeshctl: generated from its list of commands, do not edit.

# True when the command named so far is exactly this one.
function __kmeshctl_at
    set -l path ''
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case --
                break
            case --bpffs --cgroup-root --config --filter --from --heal-interval --limit --log-level --map-size --max-endpoints --max-frontends --max-services --netns --node --output --pid --root --run-dir --target --to --workload -o
                set skip yes
            case '-*'
            case '*'
                switch "$path:$word"
                    case ':load' ':unload' ':upgrade' ':status' ':check' ':enroll' ':unenroll' ':enrolled' ':exec' ':agent' ':validate' ':log' ':dump' ':explain' ':install' ':uninstall' ':version' ':completion' ':demo' 'dump:maps' 'dump:services' 'dump:workloads' 'dump:config' 'dump:diff'
                        set path (string trim "$path $word")
                end
        end
    end
    test "$path" = "$argv[1]"
end

complete -c kmeshctl -f
complete -c kmeshctl -s o -l output -r -f -a 'table json yaml' -d 'how the result is printed'
complete -c kmeshctl -l no-color -d 'no colours (also: NO_COLOR set, or output that is not a terminal)'
complete -c kmeshctl -s v -l verbose -d 'on failure print every cause and the whole log of the kernel verifier'
complete -c kmeshctl -l bpffs -r -f -a '(__fish_complete_directories)' -d 'folder on a bpffs that holds the pins'
complete -c kmeshctl -l cgroup-root -r -f -a '(__fish_complete_directories)' -d 'cgroup2 folder that programs are attached to'
complete -c kmeshctl -l run-dir -r -f -a '(__fish_complete_directories)' -d 'folder for the lock and the agent\'s socket'
complete -c kmeshctl -s h -l help -d 'show help'
complete -c kmeshctl -n '__kmeshctl_at ""' -a load -d 'load the programs, pin them and attach them to the cgroup root'
complete -c kmeshctl -n '__kmeshctl_at ""' -a unload -d 'detach and remove everything that load made'
complete -c kmeshctl -n '__kmeshctl_at ""' -a upgrade -d 'swap the loaded programs for those of this version, in place'
complete -c kmeshctl -n '__kmeshctl_at ""' -a status -d 'show what is loaded, how full it is, what the agent says and why connections were left alone'
complete -c kmeshctl -n '__kmeshctl_at ""' -a check -d 'look at this machine: can it run the mesh, and is what is there sound'
complete -c kmeshctl -n '__kmeshctl_at ""' -a enroll -d 'put the processes of a cgroup into the mesh'
complete -c kmeshctl -n '__kmeshctl_at ""' -a unenroll -d 'take a cgroup out of the mesh'
complete -c kmeshctl -n '__kmeshctl_at ""' -a enrolled -d 'list what is enrolled, and connections older than their enrolment'
complete -c kmeshctl -n '__kmeshctl_at ""' -a exec -d 'run a command inside the mesh'
complete -c kmeshctl -n '__kmeshctl_at ""' -a agent -d 'keep the kernel as the configuration says'
complete -c kmeshctl -n '__kmeshctl_at ""' -a validate -d 'say what the agent would say of configuration files'
complete -c kmeshctl -n '__kmeshctl_at ""' -a log -d 'show or change how much the running agent logs'
complete -c kmeshctl -n '__kmeshctl_at ""' -a dump -d 'print what the kernel holds and what the agent wants'
complete -c kmeshctl -n '__kmeshctl_at ""' -a explain -d 'say where a connection would go, and why'
complete -c kmeshctl -n '__kmeshctl_at ""' -a install -d 'make kmeshctl a service of this machine: loaded at boot, agent kept running'
complete -c kmeshctl -n '__kmeshctl_at ""' -a uninstall -d 'take away everything that install and its service made'
complete -c kmeshctl -n '__kmeshctl_at ""' -a version -d 'show the versions of this program, the agent and the loaded programs'
complete -c kmeshctl -n '__kmeshctl_at ""' -a completion -d 'print the completion script of a shell'
complete -c kmeshctl -n '__kmeshctl_at ""' -a demo -d 'show the whole thing on a small shop of services, and check it'
complete -c kmeshctl -n '__kmeshctl_at "load"' -l or-upgrade -d 'when programs are loaded: swap them for those of this version if they differ'
complete -c kmeshctl -n '__kmeshctl_at "load"' -l max-frontends -r -f -d 'room for so many frontends: address, port and protocol (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "load"' -l max-services -r -f -d 'room for so many backends: one for each port and address family of a service (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "load"' -l max-endpoints -r -f -d 'room for so many endpoints of all backends together (default: 262144)'
complete -c kmeshctl -n '__kmeshctl_at "load"' -l map-size -r -f -d 'entries of any other map by its name'
complete -c kmeshctl -n '__kmeshctl_at "load"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "unload"' -l force -d 'although workloads are enrolled or an agent runs'
complete -c kmeshctl -n '__kmeshctl_at "unload"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "upgrade"' -l max-frontends -r -f -d 'room for so many frontends: address, port and protocol (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "upgrade"' -l max-services -r -f -d 'room for so many backends: one for each port and address family of a service (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "upgrade"' -l max-endpoints -r -f -d 'room for so many endpoints of all backends together (default: 262144)'
complete -c kmeshctl -n '__kmeshctl_at "upgrade"' -l map-size -r -f -d 'entries of any other map by its name'
complete -c kmeshctl -n '__kmeshctl_at "upgrade"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "check"' -l short -d 'only what is not well'
complete -c kmeshctl -n '__kmeshctl_at "enroll"' -l pid -r -f -d 'the cgroup of this process'
complete -c kmeshctl -n '__kmeshctl_at "enroll"' -l netns -r -F -d 'network namespace of its sockets, a name under /run/netns or a path (default: the processes\')'
complete -c kmeshctl -n '__kmeshctl_at "enroll"' -l workload -r -f -d 'the workload that it is: decides its locality, its addresses and its view'
complete -c kmeshctl -n '__kmeshctl_at "enroll"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "enroll"' -f -a '(__fish_complete_directories)'
complete -c kmeshctl -n '__kmeshctl_at "unenroll"' -l pid -r -f -d 'the cgroup of this process'
complete -c kmeshctl -n '__kmeshctl_at "unenroll"' -l workload -r -f -d 'the cgroups enrolled as this workload'
complete -c kmeshctl -n '__kmeshctl_at "unenroll"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "unenroll"' -f -a '(__fish_complete_directories)'
complete -c kmeshctl -n '__kmeshctl_at "enrolled"' -l prune -d 'remove enrolments of deleted cgroups'
complete -c kmeshctl -n '__kmeshctl_at "enrolled"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "exec"' -l workload -r -f -d 'the workload that the command is'
complete -c kmeshctl -n '__kmeshctl_at "exec"' -l netns -r -F -d 'network namespace: a name under /run/netns, or a path'
complete -c kmeshctl -n '__kmeshctl_at "exec"' -f -a '(__fish_complete_command)'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l config -r -F -d 'where the configuration is; - reads standard input once'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l node -r -f -d 'name of this node: its locality and node-local policies need it (default: the host\'s name)'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l log-level -r -f -a 'trace debug info warn error fatal silent' -d 'how much is logged; "kmeshctl log" changes it later'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l heal-interval -r -f -d 'how often the whole kernel state is compared and repaired; 0s: never'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l max-frontends -r -f -d 'room for so many frontends: address, port and protocol (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l max-services -r -f -d 'room for so many backends: one for each port and address family of a service (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l max-endpoints -r -f -d 'room for so many endpoints of all backends together (default: 262144)'
complete -c kmeshctl -n '__kmeshctl_at "agent"' -l map-size -r -f -d 'entries of any other map by its name'
complete -c kmeshctl -n '__kmeshctl_at "validate"' -F
complete -c kmeshctl -n '__kmeshctl_at "log"' -f -a 'trace debug info warn error fatal silent'
complete -c kmeshctl -n '__kmeshctl_at "dump"' -a maps -d 'print what the pinned maps hold, decoded by their own type information'
complete -c kmeshctl -n '__kmeshctl_at "dump"' -a services -d 'list the services that the kernel balances, with their endpoints'
complete -c kmeshctl -n '__kmeshctl_at "dump"' -a workloads -d 'list the workloads that the kernel knows'
complete -c kmeshctl -n '__kmeshctl_at "dump"' -a config -d 'list the services and workloads as the agent has them'
complete -c kmeshctl -n '__kmeshctl_at "dump"' -a diff -d 'compare what the agent wants with what the kernel holds'
complete -c kmeshctl -n '__kmeshctl_at "dump maps"' -l raw -d 'keys and values as bytes in hex'
complete -c kmeshctl -n '__kmeshctl_at "dump maps"' -l filter -r -f -d 'only entries that contain it'
complete -c kmeshctl -n '__kmeshctl_at "dump maps"' -l limit -r -f -d 'at most so many entries of each map'
complete -c kmeshctl -n '__kmeshctl_at "dump maps"' -f -a 'frontend variant cidr backend endpoint maglev setting enrolled level client sock reason active robin affinity udp_flow udp_reverse miss misses enrolment name'
complete -c kmeshctl -n '__kmeshctl_at "dump services"' -l filter -r -f -d 'only those that contain it'
complete -c kmeshctl -n '__kmeshctl_at "dump services"' -l limit -r -f -d 'at most so many'
complete -c kmeshctl -n '__kmeshctl_at "dump workloads"' -l filter -r -f -d 'only those that contain it'
complete -c kmeshctl -n '__kmeshctl_at "dump workloads"' -l limit -r -f -d 'at most so many'
complete -c kmeshctl -n '__kmeshctl_at "dump config"' -l filter -r -f -d 'only those that contain it'
complete -c kmeshctl -n '__kmeshctl_at "dump config"' -l limit -r -f -d 'at most so many'
complete -c kmeshctl -n '__kmeshctl_at "dump diff"' -l limit -r -f -d 'at most so many differences'
complete -c kmeshctl -n '__kmeshctl_at "explain"' -l from -r -f -d 'the client: a cgroup path, NS/NAME of a workload, or a process id (default: any enrolled client)'
complete -c kmeshctl -n '__kmeshctl_at "explain"' -l to -r -f -d 'the destination as the client would dial it'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l target -r -f -a 'node' -d 'where to: node is this machine'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l root -r -f -a '(__fish_complete_directories)' -d 'an image below this folder, in place of this machine'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l config -r -F -d 'where the configuration is; - reads standard input once'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l node -r -f -d 'name of this node: its locality and node-local policies need it (default: the host\'s name)'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l log-level -r -f -a 'trace debug info warn error fatal silent' -d 'how much is logged; "kmeshctl log" changes it later'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l heal-interval -r -f -d 'how often the whole kernel state is compared and repaired; 0s: never'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l max-frontends -r -f -d 'room for so many frontends: address, port and protocol (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l max-services -r -f -d 'room for so many backends: one for each port and address family of a service (default: 131072)'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l max-endpoints -r -f -d 'room for so many endpoints of all backends together (default: 262144)'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l map-size -r -f -d 'entries of any other map by its name'
complete -c kmeshctl -n '__kmeshctl_at "install"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "uninstall"' -l target -r -f -a 'node' -d 'where from: node is this machine'
complete -c kmeshctl -n '__kmeshctl_at "uninstall"' -l root -r -f -a '(__fish_complete_directories)' -d 'an image below this folder, in place of this machine'
complete -c kmeshctl -n '__kmeshctl_at "uninstall"' -l keep-programs -d 'leave the programs in the kernel: they work on with what they know'
complete -c kmeshctl -n '__kmeshctl_at "uninstall"' -l force -d 'although workloads are enrolled: they are in the mesh no more'
complete -c kmeshctl -n '__kmeshctl_at "uninstall"' -l dry-run -d 'change nothing: print what would be done'
complete -c kmeshctl -n '__kmeshctl_at "version"' -l client -d 'only of this program'
complete -c kmeshctl -n '__kmeshctl_at "completion"' -f -a 'bash zsh fish'
complete -c kmeshctl -n '__kmeshctl_at "demo"' -l keep -d 'leave everything up and print how to look around'
