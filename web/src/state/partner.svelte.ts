/** A run's page beside another one's: what is pointed at, pinned, selected and filtered is the same in both. */

import { untrack } from 'svelte'
import { MOST_MARKED, some, type Order, type Report, type Shared, type Spot } from '../core/partner'
import type { Point } from '../core/view'
import { circled, ring } from '../map/pen'
import type { Explorer } from './explorer.svelte'
import { regionsOf } from './regions.svelte'

/** css pixels within which an image is pointed at. */
const REACH = 14

/** Kept by a round trip through another page. */
const rounded = (value: number): number => Number(value.toPrecision(7))

/** How this page has something that is shared, undefined where it has nothing of its own to say; and how it takes it. */
type Kept<Value> = { read: () => Value | undefined; take: (value: Value) => void }

/** Talks to the outer page, as long as the component lives that calls this. */
export function follow(explorer: Explorer): void {
  const { classes, pins, planes, probe, surface, viewport } = explorer
  const regions = regionsOf(explorer)
  let watched = $state.raw<readonly number[]>([])
  /** What the other map points at and selects. */
  let pointed = $state.raw<number | null>(null)
  let selected = $state.raw<readonly number[]>([])
  const second = Boolean(explorer.manifest.partner?.basis)
  /** Whether this map is the one of its page that lies as the other. */
  const laidAlike = (): boolean => planes.plane === planes.list[0] && !planes.snapshot
  /** Of the whole map: what lies at one place in both is then at one place of both screens. */
  const middle = (): Point => [viewport.view.width / 2, viewport.view.height / 2]
  const tell = (report: Report): void => window.parent.postMessage(report, '*')

  const kept: { [Name in keyof Shared]: Kept<Shared[Name]> } = {
    hover: {
      read: () => {
        const { at } = probe
        if (at?.by === 'partner') return undefined
        return at && explorer.hit(at.u, at.v, REACH)
      },
      take: (index) => {
        pointed = index
        if (index !== null) probe.lookAt(index, 'partner')
        else if (probe.at?.by === 'partner') probe.at = null
      },
    },
    pins: {
      read: () => pins.list.flatMap(({ index }) => index ?? []),
      take: (images) => {
        for (const { id, index } of pins.list) if (index !== null && !images.includes(index)) pins.remove(id)
        const known = pins.list.map(({ index }) => index)
        for (const index of images) if (!known.includes(index)) void pins.addImage(index)
      },
    },
    selection: {
      read: () => {
        if (regions.strokes.now.length) return Array.from(regions.members)
        return selected.length ? undefined : []
      },
      take: (images) => {
        selected = images
        if (images.length) regions.clear()
      },
    },
    shown: { read: () => classes.shown, take: (shown) => (classes.shown = shown) },
    highlighted: { read: () => classes.highlighted, take: (label) => (classes.highlighted = label) },
    view: {
      read: () => {
        const { scale } = viewport.view
        // The second map fits itself to its own codes until it is told better.
        if (!laidAlike() || (second && viewport.fitted)) return undefined
        const [u, v] = viewport.toPlane(...middle())
        return { u: rounded(u), v: rounded(v), scale: rounded(scale) }
      },
      take: ({ u, v, scale }) => {
        const [x, y] = middle()
        if (laidAlike()) viewport.camera?.show({ ...viewport.view, scale, x: x - u * scale, y: y + v * scale })
      },
    },
    theme: { read: () => explorer.theme, take: (theme) => (explorer.theme = theme) },
  }

  /** As it was told or taken last: what comes from the other page is not sent back. */
  const last = new Map<string, string>()
  for (const [name, { read }] of Object.entries(kept) as [string, Kept<unknown>][]) {
    last.set(name, JSON.stringify(untrack(read)))
    $effect(() => {
      const value = read()
      const text = JSON.stringify(value)
      if (value === undefined || text === last.get(name)) return
      last.set(name, text)
      if (name === 'hover') pointed = null
      if (name === 'selection') selected = []
      tell({ shared: { [name]: JSON.parse(text) } })
    })
  }

  function hear({ source, data }: MessageEvent<Order>): void {
    if (source !== window.parent) return
    if (data.watch) watched = data.watch
    const plane = data.aligned === undefined ? null : planes.list.find(({ id }) => (id === 'aligned') === data.aligned)
    if (plane && plane !== planes.plane) explorer.usePlane(plane)
    for (const [name, value] of Object.entries(data.shared ?? {})) {
      if (value === undefined) continue
      last.set(name, JSON.stringify(value))
      kept[name as keyof Shared].take(value as never)
    }
  }

  function spot(index: number): Spot {
    const [u, v] = planes.place(index)
    const [x, y] = viewport.toScreen(u, v)
    const { view, insets } = viewport
    const seen =
      classes.isShown(index) &&
      x >= insets.left && x <= view.width - insets.right && y >= insets.top && y <= view.height - insets.bottom
    const label = explorer.points.labels?.[index]
    return seen ? { x, y, colour: label === undefined ? '#c8c8c8' : classes.colours[label] } : null
  }

  $effect(() => tell({ spots: watched.map(spot) }))

  $effect(() => {
    void [pointed, selected]
    return surface.addDraw((context) => {
      for (const index of some(selected, MOST_MARKED))
        if (classes.isShown(index)) circled(context, ...viewport.toScreen(...planes.place(index)))
      if (pointed !== null) ring(context, ...viewport.toScreen(...planes.place(pointed)), 9, '#ffd166', 2.5)
    })
  })

  $effect(() => {
    window.addEventListener('message', hear)
    untrack(() => tell({ ready: true }))
    return () => {
      window.removeEventListener('message', hear)
      tell({ spots: [] })
    }
  })
}
