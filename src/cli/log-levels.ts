// SPDX-License-Identifier: Apache-2.0
// The levels of the agent's log, least first (a test compares them with the agent's own).
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
