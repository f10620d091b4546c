// SPDX-License-Identifier: Apache-2.0
// The version of this kmeshctl.
import packageJson from '../package.json' with { type: 'json' };

export const version: string = packageJson.version;
