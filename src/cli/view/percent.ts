// SPDX-License-Identifier: Apache-2.0
// Shares of a whole in tables.

/** 0.25 as "25.0 %" */
export const percentText = (share: number): string => `${(share * 100).toFixed(1)} %`;
