#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Boots a real systemd as the first process of the namespaces this runs in: files of this machine with a writable layer above them.
# Usage: boot.sh STATE PROJECT NODE; STATE keeps what was written from boot to boot, PROJECT and NODE are seen at their own paths.
set -euo pipefail
state=$1 project=$2 node=$3
new=$state/root

mount --make-rprivate /
mkdir -p "$state"/{upper,work,root,units}
mount -t overlay overlay -o "lowerdir=/,upperdir=$state/upper,workdir=$state/work" "$new"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
# systemd mounts it on a machine, and leaves that to others where it takes itself to be in a container.
mount -t bpf -o mode=700 bpf "$new/sys/fs/bpf"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
for device in null zero full random urandom tty; do
  touch "$new/dev/$device"
  mount --bind "/dev/$device" "$new/dev/$device"
done
mkdir "$new"/dev/{shm,pts}
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"

# What lies on file systems of its own is not in the lower layer.
keep() {
  mkdir -p "$new$(dirname "$1")"
  if [[ -d $1 ]]; then mkdir -p "$new$1"; else [[ -e $new$1 ]] || touch "$new$1"; fi
  mount --bind "$1" "$new$1"
}
keep "$project"
[[ -x $new$node ]] || keep "$node"

# No service of this machine is started a second time.
mount --bind "$state/units" "$new/etc/systemd/system"
for unit in getty.target systemd-logind.service systemd-udevd.service systemd-networkd.service systemd-resolved.service; do
  ln -sfn /dev/null "$new/etc/systemd/system/$unit"
done
rm -f "$new/etc/machine-id"
echo 0123456789abcdef0123456789abcdef > "$new/etc/machine-id"

cd "$new"
mkdir -p old
pivot_root . old
umount -l old
exec env -i container=kmeshctl-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target
