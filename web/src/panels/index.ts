/** The panels besides the map's own: each is a component that finds the explorer by itself. */

import type { Component } from 'svelte'
import type { Mode } from '../state/explorer.svelte'

export interface Panel {
  id: string
  title: string
  /** `side`: a section of the side panel. `dock`: along the bottom, while `mode` is chosen. */
  where: 'side' | 'dock'
  /** The mode in which the panel is shown; without one it always is. */
  mode?: Mode
  component: Component
}

export const panels: Panel[] = []
