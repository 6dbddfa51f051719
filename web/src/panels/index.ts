/** The panels besides the map's own: each is a component that finds the explorer by itself. */

import type { Component } from 'svelte'
import type { Explorer, Mode } from '../state/explorer.svelte'

export interface Panel {
  id: string
  title: string
  /** `side`: a section of the side panel. `dock`: along the bottom. */
  where: 'side' | 'dock'
  /** The mode in which the panel is shown; without one a side panel always is. */
  mode?: Mode
  available?: (explorer: Explorer) => boolean
  component: Component
}

export const panels: Panel[] = []

/** The modes there is a panel for, Explore first. */
export function modes(explorer: Explorer): { mode: Mode; title: string }[] {
  const titles: Record<Mode, string> = { explore: 'Explore', morph: 'Morph', lasso: 'Lasso', sliders: 'Sliders' }
  const served = panels.filter(({ mode, available }) => mode && (available?.(explorer) ?? true))
  const found = new Set<Mode>(['explore', ...served.map(({ mode }) => mode!)])
  return [...found].map((mode) => ({ mode, title: titles[mode] }))
}
