/** What the shell itself can do, with the keys for it. */

import { availableOverlays } from '../map/overlays'
import type { OverlayId } from '../map/surface.svelte'
import type { Command } from '../state/commands.svelte'
import type { Explorer } from '../state/explorer.svelte'
import { hasPrior, sample } from '../state/sampling'
import { drawRows } from '../core/random'

export interface Dialogs {
  palette: () => void
  help: () => void
  table: () => void
  panel: () => void
  tour: () => void
  dark: () => boolean
}

export function baseCommands(e: Explorer, dialogs: Dialogs): Command[] {
  return [...map(e), ...pins(e), ...classes(e), ...layers(e), ...page(e, dialogs)]
}

function map(e: Explorer): Command[] {
  return [
    { id: 'in', title: 'Zoom in', group: 'Map', keys: ['+', '='], run: () => e.viewport.camera?.zoom(1.6) },
    { id: 'out', title: 'Zoom out', group: 'Map', keys: ['-', '_'], run: () => e.viewport.camera?.zoom(1 / 1.6) },
    { id: 'fit', title: 'Show everything', group: 'Map', keys: ['0'], run: () => e.viewport.fit() },
    {
      id: 'lens',
      title: 'Lens beside the pointer or in the panel',
      group: 'Map',
      keys: ['L'],
      run: () => (e.lensDocked = !e.lensDocked),
    },
  ]
}

function pins(e: Explorer): Command[] {
  const some = (): boolean => e.pins.list.length > 0
  const morphs = (): boolean => e.continuous
  return [
    {
      id: 'pin',
      title: 'Pin the probe or its nearest image',
      group: 'Pins',
      keys: ['Enter'],
      available: () => e.probe.at !== null,
      run: () => e.pinProbe(),
    },
    { id: 'unpin', title: 'Unpin', group: 'Pins', keys: ['Backspace', 'Delete'], available: some, run: () => e.pins.remove(e.pins.current!) },
    {
      id: 'across',
      title: 'Pin the nearest image across the decision boundary',
      group: 'Pins',
      available: () => e.pins.pin !== null && e.classifier.across(e.pins.pin.z) !== null,
      run: () => void e.pins.addImage(e.classifier.across(e.pins.pin!.z)!.index),
    },
    { id: 'next', title: 'Next neighbour of the pin', group: 'Pins', keys: [']'], available: some, run: () => walk(e, 1) },
    { id: 'previous', title: 'Previous neighbour of the pin', group: 'Pins', keys: ['['], available: some, run: () => walk(e, -1) },
    { id: 'a', title: 'Morph from here (A)', group: 'Pins', keys: ['A'], available: morphs, run: () => end(e, 'a') },
    { id: 'b', title: 'Morph to here (B)', group: 'Pins', keys: ['B'], available: morphs, run: () => end(e, 'b') },
    {
      id: 'sample',
      title: 'Sample from the prior and near encoded images',
      group: 'Pins',
      keys: ['R'],
      available: () => hasPrior(e),
      run: () => void sample(e),
    },
    {
      id: 'draw',
      title: 'Pin a random image of the visible classes',
      group: 'Pins',
      keys: ['Shift+R'],
      run: () => pinOne(e),
    },
  ]
}

/** Looks at the pin's neighbours one after the other. */
function walk(e: Explorer, step: number): void {
  const pin = e.pins.pin
  if (!pin) return
  const near = e.points.nearest(pin.z, 50, (index) => index !== pin.index && e.classes.isShown(index))
  if (!near.length) return
  e.pins.neighbour = (e.pins.neighbour + step + near.length) % near.length
  const { index } = near[e.pins.neighbour]
  e.probe.lookAt(index)
  e.announce(`Neighbour ${e.pins.neighbour + 1}: ${e.points.title(index)}.`)
}

function end(e: Explorer, which: 'a' | 'b'): void {
  const z = e.probe.at?.z ?? e.pins.pin?.z
  if (z) e.morph(which, z)
}

function pinOne(e: Explorer): void {
  const on = Float32Array.from({ length: e.points.count }, (_, index) => index).filter(e.classes.isShown)
  if (on.length) void e.pins.addImage(drawRows(on, 1, 1)[0])
}

function classes(e: Explorer): Command[] {
  const solos = e.manifest.data.classes.map(
    (name, label): Command => ({
      id: `solo-${label}`,
      title: `Show ${name} alone`,
      group: 'Classes',
      keys: label < 10 ? [`Alt+${(label + 1) % 10}`] : undefined,
      run: () => e.classes.solo(label),
    }),
  )
  const all: Command = { id: 'all', title: 'Show all classes', group: 'Classes', run: () => e.classes.showAll() }
  return solos.length ? [...solos, all] : []
}

function layers(e: Explorer): Command[] {
  const steps = [0.42, 1, 0, 0.2]
  return [
    {
      id: 'overlay',
      title: 'Next overlay',
      group: 'Layers',
      keys: ['O'],
      run: () => {
        const offered: { id: OverlayId; title: string }[] = [{ id: 'none', title: 'none' }, ...availableOverlays(e)]
        const at = offered.findIndex(({ id }) => id === e.surface.overlay)
        const { id, title } = offered[(at + 1) % offered.length]
        e.surface.overlay = id
        e.announce(`Overlay: ${title}.`)
      },
    },
    ...availableOverlays(e).map(
      ({ id, title }): Command => ({
        id: `overlay-${id}`,
        title: `Overlay: ${title}`,
        group: 'Layers',
        run: () => (e.surface.overlay = id),
      }),
    ),
    {
      id: 'background',
      title: 'Strength of the decoded background',
      group: 'Layers',
      keys: ['Shift+B'],
      run: () => (e.surface.layers.background = steps[(steps.indexOf(e.surface.layers.background) + 1) % steps.length]),
    },
  ]
}

function page(e: Explorer, dialogs: Dialogs): Command[] {
  return [
    { id: 'palette', title: 'Search commands, classes and images', group: 'Page', keys: ['/', 'Ctrl+K'], hidden: true, run: dialogs.palette },
    { id: 'help', title: 'Help', group: 'Page', keys: ['?'], run: dialogs.help },
    { id: 'tour', title: 'Tour of this page', group: 'Page', run: dialogs.tour },
    {
      id: 'machine',
      title: 'The model, step by step',
      group: 'Page',
      keys: ['M'],
      available: () => e.continuous,
      run: () => (e.mode = e.mode === 'machine' ? 'explore' : 'machine'),
    },
    { id: 'table', title: 'Table view', group: 'Page', keys: ['V'], run: dialogs.table },
    { id: 'panel', title: 'Open or close the panel', group: 'Page', keys: ['P'], run: dialogs.panel },
    {
      id: 'theme',
      title: 'Light or dark',
      group: 'Page',
      keys: ['T'],
      run: () => (e.theme = dialogs.dark() ? 'light' : 'dark'),
    },
    {
      id: 'share',
      title: 'Copy a link to this view',
      group: 'Page',
      keys: ['C'],
      available: () => e.share !== null,
      run: () => e.share?.link(),
    },
  ]
}
