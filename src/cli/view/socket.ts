// SPDX-License-Identifier: Apache-2.0
// Pieces that several views share.

/** "10.0.0.1:80", "[fd00::1]:80" */
export const socketText = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** 0.25 as "25.0 %" */
export const percentText = (share: number): string => `${(share * 100).toFixed(1)} %`;
