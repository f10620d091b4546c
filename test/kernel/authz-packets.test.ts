// SPDX-License-Identifier: Apache-2.0
// The programs on the host's side of a pod's link, given packets: what a pod may send, and what may reach it without being looked up.
import { closeSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, openLab } from '../../src/demo/lab.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { openPin, pinFolders } from '../../src/kernel/pins.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { arp, bytesOf, extension, frame, icmp6, ip4, ip6, ports } from '../support/packets.ts';
import { runProgram } from '../support/program-run.ts';

let lab: Lab;
let instance: Instance;
const programs = new Map<string, number>();

/** Addresses of the pod on this link, which in a test run is lo; of one on another link; of one on a link of this number elsewhere. */
const own = { v4: '10.0.0.1', v6: '2001:db8::1' };
const other = { v4: '10.0.0.2', v6: '2001:db8::2' };
const elsewhere = { v4: '10.0.0.3', v6: '2001:db8::3' };
const outside = { v4: '192.0.2.1', v6: '2001:db9::1' };

beforeAll(async () => {
  const name = `km-packets-${process.pid}`;
  lab = await openLab(name, join(cgroupMount(), name));
  instance = await openInstance(lab.cgroupRoot);
  for (const program of ['spoof', 'no_group'])
    programs.set(program, openPin(join(pinFolders(instance.place.bpffs).progs, program)) as number);
  const host_netns = statSync('/proc/self/ns/net').ino;
  const place = { netns: 1, host_netns, ifindex: 1, flags: 0 };
  instance.plane
    .map('pod_address')
    .put([
      ...Object.values(own).map((address) => [address, place] as const),
      ...Object.values(other).map((address) => [address, { ...place, ifindex: 2 }] as const),
      ...Object.values(elsewhere).map((address) => [address, { ...place, host_netns: host_netns + 1 }] as const),
    ]);
});

afterAll(async () => {
  for (const fd of programs.values()) closeSync(fd);
  await instance?.close();
  await lab?.close();
});

/** TCX_NEXT, TCX_DROP */
const answers = new Map([
  [-1, 'goes on'],
  [2, 'dropped'],
]);

function given(program: string, packet: Uint8Array): string | undefined {
  return answers.get(runProgram(programs.get(program) as number, { packet }).answer);
}

const udp = 17;
const tcp = 6;
const icmpv6 = 58;
const advertisement = (target: string) => icmp6(136, target);
const solicitation = icmp6(135, other.v6);

describe('what a pod sends', () => {
  it.each<[string, Uint8Array]>([
    ['TCP of its own', ip4(own.v4, outside.v4, tcp, ports(1, 2))],
    ['TCP of its own, IPv6', ip6(own.v6, outside.v6, tcp, ports(1, 2))],
    ['nothing behind the header', ip4(own.v4, outside.v4, 99)],
    ['DHCP without an address', ip4('0.0.0.0', '255.255.255.255', udp, ports(68, 67))],
    ['joining groups without an address', ip4('0.0.0.0', '224.0.0.22', 2, ports(0, 0))],
    ['ARP from its own address', arp(own.v4, outside.v4)],
    ['ARP that asks whether anybody has an address', arp('0.0.0.0', own.v4)],
    ['whether anybody has its IPv6 address', ip6('::', 'ff02::1:ff00:1', icmpv6, icmp6(135, own.v6))],
    ['joining IPv6 groups without an address', ip6('::', 'ff02::16', 0, extension(icmpv6), icmp6(143, '::'))],
    ['solicitation from its own address', ip6(own.v6, 'ff02::1:ff00:2', icmpv6, solicitation)],
    ['solicitation from a link-local one', ip6('fe80::1', 'ff02::1:ff00:2', icmpv6, solicitation)],
    ['advertisement of its own address', ip6(own.v6, 'fe80::2', icmpv6, advertisement(own.v6))],
    ['advertisement of a link-local one', ip6('fe80::1', 'fe80::2', icmpv6, advertisement('fe80::1'))],
    [
      'a later fragment that reads like one',
      ip6(own.v6, outside.v6, 44, [58, 0, 0, 8, 0, 0, 0, 0], advertisement(other.v6)),
    ],
    ['TCP between link-local addresses', ip6('fe80::1', 'fe80::2', tcp, ports(1, 2))],
    ['to a group from a link-local one', ip6('fe80::1', 'ff02::1:2', udp, ports(546, 547))],
    ['ICMPv6 from a link-local one to another', ip6('fe80::1', other.v6, icmpv6, solicitation)],
    ['router solicitation', ip6('fe80::1', 'ff02::2', icmpv6, [133, 0, 0, 0, 0, 0, 0, 0])],
  ])('goes on: %s', (_, packet) => {
    expect(given('spoof', packet)).toBe('goes on');
  });

  it.each<[string, Uint8Array]>([
    ['of a pod on another link', ip4(other.v4, outside.v4, tcp, ports(1, 2))],
    ['of a pod on another link, IPv6', ip6(other.v6, outside.v6, udp, ports(1, 2))],
    ['of a pod elsewhere', ip4(elsewhere.v4, outside.v4, tcp, ports(1, 2))],
    ['of a pod elsewhere, IPv6', ip6(elsewhere.v6, outside.v6, tcp, ports(1, 2))],
    ['of nobody here', ip4(outside.v4, own.v4, udp, ports(1, 2))],
    ['from loopback', ip4('127.0.0.1', outside.v4, tcp, ports(1, 2))],
    ['from loopback, IPv6', ip6('::1', outside.v6, tcp, ports(1, 2))],
    ['from IPv4 written as IPv6', ip6('::ffff:10.0.0.2', outside.v6, tcp, ports(1, 2))],
    ['without an address to somebody', ip4('0.0.0.0', outside.v4, udp, ports(1, 2))],
    ['TCP without an address', ip4('0.0.0.0', '255.255.255.255', tcp, ports(1, 2))],
    ['UDP without an address, IPv6', ip6('::', 'ff02::1', udp, ports(1, 2))],
    ['TCP from a link-local one to another', ip6('fe80::1', other.v6, tcp, ports(1, 2))],
    ['UDP from a link-local one to another', ip6('fe80::1', other.v6, udp, ports(1, 2))],
    ['the same behind an extension header', ip6('fe80::1', other.v6, 60, extension(udp), ports(1, 2))],
    ['ARP from another address', arp(other.v4, outside.v4)],
    ['advertisement of another address', ip6(own.v6, 'fe80::2', icmpv6, advertisement(other.v6))],
    ['the same behind an extension header', ip6(own.v6, 'fe80::2', 60, extension(icmpv6, 16), advertisement(other.v6))],
    ['the same from a link-local one', ip6('fe80::1', 'ff02::1', icmpv6, advertisement(other.v6))],
    ['router advertisement', ip6('fe80::1', 'ff02::1', icmpv6, icmp6(134, '::'))],
    [
      'the same where the first fragment is all of it',
      ip6(own.v6, 'fe80::2', 44, [icmpv6, 0, 0, 0, 0, 0, 0, 0], advertisement(other.v6)),
    ],
    ['no end of extension headers', ip6(own.v6, outside.v6, 60, ...new Array(12).fill(extension(60)))],
    ['a short router advertisement', ip6('fe80::1', 'ff02::1', icmpv6, [134, 0, 0, 0, 0, 0, 0, 0])],
    ['redirect', ip6('fe80::1', own.v6, icmpv6, icmp6(137, outside.v6))],
    [
      'IP behind a tag behind the one that was taken off',
      frame([0x8100, 0, 0x0800], ip4(own.v4, outside.v4, tcp).subarray(14)),
    ],
    ['the same with a service tag', frame([0x88a8, 0, 0x0800], ip4(own.v4, outside.v4, tcp).subarray(14))],
    ['something else than IP', frame(0x8847, [0, 0, 1, 64], ip4(other.v4, outside.v4, tcp).subarray(14))],
    ['half of ARP', bytesOf(arp(own.v4, outside.v4).subarray(0, 38))],
  ])('dropped: %s', (_, packet) => {
    const before = instance.plane.reasons().get('spoofed') as bigint;
    expect(given('spoof', packet)).toBe('dropped');
    expect(instance.plane.reasons().get('spoofed')).toBe(before + 1n);
  });
});

describe('what reaches a pod', () => {
  it.each<[string, Uint8Array]>([
    ['a datagram', ip4(own.v4, own.v4, udp, ports(1, 2))],
    ['a datagram, IPv6', ip6(own.v6, own.v6, udp, ports(1, 2))],
    ['a fragment', ip6(own.v6, own.v6, 44, [udp, 0, 0, 1, 0, 0, 0, 0], ports(1, 2))],
  ])('dropped as from an address of its own: %s', (_, packet) => {
    const before = instance.plane.reasons().get('spoofed') as bigint;
    expect(given('no_group', packet)).toBe('dropped');
    expect(instance.plane.reasons().get('spoofed')).toBe(before + 1n);
  });

  it.each<[string, Uint8Array]>([
    ['TCP', ip4(outside.v4, own.v4, tcp, ports(1, 2))],
    ['a datagram', ip4(outside.v4, own.v4, udp, ports(1, 2))],
    ['the same, IPv6', ip6(outside.v6, own.v6, udp, ports(1, 2))],
    ['behind an extension header', ip6(outside.v6, own.v6, 60, extension(udp), ports(1, 2))],
    ['a later fragment', ip6(outside.v6, own.v6, 44, [udp, 0, 1, 0, 0, 0, 0, 1], ports(1, 2))],
    ['a question to a group', ip4(outside.v4, '224.0.0.1', 2, ports(0, 0))],
    ['DHCP', ip4(outside.v4, '255.255.255.255', udp, ports(67, 68))],
    ['ARP', arp(outside.v4, own.v4)],
    ['solicitation to a group', ip6(outside.v6, 'ff02::1:ff00:1', icmpv6, icmp6(135, own.v6))],
    ['a question about groups', ip6('fe80::1', 'ff02::1', 0, extension(icmpv6), icmp6(130, '::'))],
    ['router advertisement', ip6('fe80::1', 'ff02::1', icmpv6, icmp6(134, '::'))],
  ])('goes on: %s', (_, packet) => {
    expect(given('no_group', packet)).toBe('goes on');
  });

  it.each<[string, Uint8Array]>([
    ['a datagram to a group', ip4(outside.v4, '224.0.0.251', udp, ports(5353, 5353))],
    ['to every address', ip4(outside.v4, '255.255.255.255', udp, ports(1, 2))],
    ['to all addresses of a network', ip4(outside.v4, '10.0.0.255', udp, ports(1, 2))],
    ['to a group, IPv6', ip6(outside.v6, 'ff02::fb', udp, ports(5353, 5353))],
    ['to a group, behind an extension header', ip6(outside.v6, 'ff02::fb', 60, extension(udp, 24), ports(5353, 5353))],
    ['to a group, in fragments', ip6(outside.v6, 'ff02::fb', 44, [udp, 0, 1, 0, 0, 0, 0, 1], ports(5353, 5353))],
    ['UDP-Lite', ip4(outside.v4, own.v4, 136, ports(1, 2))],
    ['UDP-Lite, IPv6', ip6(outside.v6, own.v6, 136, ports(1, 2))],
    ['UDP-Lite behind an extension header', ip6(outside.v6, own.v6, 43, extension(136), ports(1, 2))],
    ['no end of extension headers', ip6(outside.v6, own.v6, 60, ...new Array(12).fill(extension(60)))],
    ['a header that is not whole', ip6(outside.v6, own.v6, 60, [17])],
    ['a tag', frame([0x8100, 0, 0x0800], ip4(outside.v4, own.v4, tcp).subarray(14))],
  ])('dropped: %s', (_, packet) => {
    const before = instance.plane.reasons().get('group_dropped') as bigint;
    expect(given('no_group', packet)).toBe('dropped');
    expect(instance.plane.reasons().get('group_dropped')).toBe(before + 1n);
  });
});
