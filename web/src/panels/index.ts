/** The panels besides the map's own: each is a component that finds the explorer by itself. */

import type { Component } from 'svelte'
import type { Explorer, Mode } from '../state/explorer.svelte'
import Codes from './Codes.svelte'
import Crowd from './Crowd.svelte'
import Film from './Film.svelte'
import Levels from './Levels.svelte'
import Machine from './Machine.svelte'
import Morph from './Morph.svelte'
import Own from './Own.svelte'
import Play from './Play.svelte'
import Regions from './Regions.svelte'
import Selection from './Selection.svelte'
import Share from './Share.svelte'
import Sliders from './Sliders.svelte'
import Train from './Train.svelte'
import Training from './Training.svelte'

export interface Panel {
  id: string
  title: string
  /** `side`: a section of the side panel. `dock`: along the bottom. */
  where: 'side' | 'dock'
  /** The mode in which the panel is shown; without one a side panel always is. */
  mode?: Mode
  available?: (explorer: Explorer) => boolean
  /** Whether a section of the side panel starts unfolded; it does unless told otherwise. */
  open?: boolean
  /** Whether it stands above the sections that every page has. */
  first?: boolean
  component: Component
}

export const panels: Panel[] = [
  { id: 'morph', title: 'Morph', where: 'dock', mode: 'morph', available: ({ continuous }) => continuous, component: Morph },
  { id: 'selection', title: 'Lasso', where: 'dock', mode: 'lasso', component: Selection },
  { id: 'machine', title: 'Machine', where: 'dock', mode: 'machine', available: ({ continuous }) => continuous, component: Machine },
  { id: 'sliders', title: 'Sliders', where: 'dock', mode: 'sliders', available: hasAxes, component: Sliders },
  { id: 'codes', title: 'Codes', where: 'dock', mode: 'codes', available: hasCodes, component: Codes },
  { id: 'levels', title: 'Levels', where: 'dock', mode: 'levels', available: hasLevels, component: Levels },
  { id: 'film', title: 'Film', where: 'dock', mode: 'film', available: filmed, component: Film },
  { id: 'play', title: 'Play', where: 'side', first: true, available: ({ backend }) => backend.play !== null, component: Play },
  { id: 'crowd', title: 'All codes', where: 'side', first: true, available: ({ crowd }) => crowd !== null, component: Crowd },
  { id: 'training', title: 'Training', where: 'side', available: ({ backend }) => backend.train !== null, component: Training },
  { id: 'train', title: 'Train in this page', where: 'side', open: false, available: ({ manifest }) => Boolean(manifest.trainable), component: Train },
  { id: 'own', title: 'Your picture', where: 'side', open: false, available: ({ backend }) => backend.encodes, component: Own },
  { id: 'regions', title: 'Regions', where: 'side', open: false, component: Regions },
  { id: 'share', title: 'Save and share', where: 'side', open: false, available: ({ leave }) => leave === null, component: Share },
]

function filmed({ manifest, source }: Explorer): boolean {
  return Boolean(manifest.film) && source.has('decoder') && !manifest.following
}

/** A plane is its own slider; discrete codes have none. */
function hasAxes({ points, continuous }: Explorer): boolean {
  return points.D > 2 && continuous
}

/** A running training changes its codes all the time. */
function hasCodes({ manifest, continuous }: Explorer): boolean {
  return !continuous && !manifest.following
}

function hasLevels({ manifest, source }: Explorer): boolean {
  return Boolean(manifest.model.below) && source.has('encoder')
}

/** The modes there is a panel for, Explore first. */
export function modes(explorer: Explorer): { mode: Mode; title: string }[] {
  const served = panels.filter(({ mode, available }) => mode && (available?.(explorer) ?? true))
  return [{ mode: 'explore', title: 'Explore' }, ...served.map(({ mode, title }) => ({ mode: mode!, title }))]
}
