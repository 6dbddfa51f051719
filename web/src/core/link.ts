/**
 * The view in a link: `#v=1&x=…&y=…&k=…&a=…&b=…&m=geo&r=<base64url regions>`. Whatever a link holds,
 * reading it never throws: what is not understood is left out.
 */

import type { Region } from './regions'
import type { Operation, Stroke } from './lasso'

export type PathKind = 'linear' | 'slerp' | 'geo'

/** What a link can say; every part may be absent. */
export interface SavedView {
  /** Centre of the map in map units, and zoom (1 = all of it). */
  x?: number
  y?: number
  k?: number
  /** Ends of the morph and the pinned latent. */
  a?: number[]
  b?: number[]
  p?: number[]
  /** Points the morph passes through. */
  w?: number[][]
  m?: PathKind
  /** Weight of "follow the data". */
  l?: number
  /** Projection on the map: "latent", "pca", "umap" or two axes as "axes-0-1". */
  d?: string
  r?: Region<Stroke>[]
}

/** Regions above this many characters do not fit in a link and go to "Save a copy". */
export const LINK_LIMIT = 2048

const KINDS: readonly string[] = ['linear', 'slerp', 'geo']
const OPERATIONS: readonly Operation[] = ['replace', 'add', 'subtract']
/** Outlines are kept to a thousandth of a map unit. */
const GRAIN = 1000
/** More than any model here has, less than what makes a page slow. */
const MOST = 4096

/** The link's fragment, with `#`. Regions too long for a link are left out: see `fits`. */
export function writeLink(view: SavedView): string {
  const regions = view.r?.length ? packRegions(view.r) : ''
  const parts: [string, string | undefined][] = [
    ['v', '1'],
    ['x', short(view.x)],
    ['y', short(view.y)],
    ['k', short(view.k)],
    ['a', view.a?.map(short).join(',')],
    ['b', view.b?.map(short).join(',')],
    ['p', view.p?.map(short).join(',')],
    ['w', view.w?.length ? view.w.map((z) => z.map(short).join(',')).join(';') : undefined],
    ['m', view.m],
    ['l', short(view.l)],
    ['d', view.d && encodeURIComponent(view.d)],
    ['r', regions.length <= LINK_LIMIT ? regions : ''],
  ]
  return (
    '#' +
    parts
      .filter(([, text]) => text)
      .map(([key, text]) => `${key}=${text}`)
      .join('&')
  )
}

/** Whether a link holds all regions of the view. */
export const fits = (view: SavedView): boolean =>
  !view.r?.length || packRegions(view.r).length <= LINK_LIMIT

/** Five significant digits: finer than a pixel at any zoom one would send. */
const short = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : String(Number(value.toPrecision(5)))

/** What the fragment says, as far as it makes sense; {} for a foreign one. */
export function readLink(fragment: string): SavedView {
  const parts = new Map<string, string>()
  for (const part of fragment.replace(/^#/, '').split('&')) {
    const at = part.indexOf('=')
    if (at > 0) parts.set(part.slice(0, at), part.slice(at + 1))
  }
  if (parts.get('v') !== '1') return {}
  const text = (key: string): string => parts.get(key) ?? ''
  const view: SavedView = {
    x: number(text('x')),
    y: number(text('y')),
    k: number(text('k')),
    a: numbers(text('a')),
    b: numbers(text('b')),
    p: numbers(text('p')),
    w: text('w')
      ? text('w')
          .split(';')
          .map(numbers)
          .filter((z) => z !== undefined)
      : undefined,
    m: KINDS.includes(text('m')) ? (text('m') as PathKind) : undefined,
    l: number(text('l')),
    d: plain(text('d')),
    r: readRegions(text('r')),
  }
  return Object.fromEntries(
    Object.entries(view).filter(([, value]) => value !== undefined),
  ) as SavedView
}

function number(text: string): number | undefined {
  const value = Number(text)
  return text.trim() && Number.isFinite(value) ? value : undefined
}

function numbers(text: string): number[] | undefined {
  const values = text.split(',').map(number)
  return text && values.length <= MOST && values.every((v) => v !== undefined)
    ? (values as number[])
    : undefined
}

function plain(text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined
  } catch {
    return undefined
  }
}

/** [name, map, [[operation, x, y, dx, dy, …], …]]: outlines as whole steps of a thousandth. */
type Packed = [string, string, number[][]]

function packRegions(regions: readonly Region<Stroke>[]): string {
  const packed = regions.map(({ name, map, strokes }): Packed => [
    name,
    map,
    strokes.map(packStroke),
  ])
  return toBase64url(JSON.stringify(packed))
}

function packStroke({ operation, outline }: Stroke): number[] {
  const whole = outline.flatMap(([x, y]) => [Math.round(x * GRAIN), Math.round(y * GRAIN)])
  return [
    OPERATIONS.indexOf(operation),
    ...whole.map((value, i) => value - (i < 2 ? 0 : whole[i - 2])),
  ]
}

function readRegions(text: string): Region<Stroke>[] | undefined {
  try {
    const regions = checkedRegions((JSON.parse(fromBase64url(text)) as Packed[]).map(unpackRegion))
    return regions.length ? regions : undefined
  } catch {
    return undefined
  }
}

const unpackRegion = ([name, map, strokes]: Packed): Region<Stroke> => ({
  name,
  map,
  strokes: strokes.map(([operation, ...steps]) => ({
    operation: OPERATIONS[operation],
    outline: unpackOutline(steps),
  })),
})

function unpackOutline(steps: number[]): [number, number][] {
  let [x, y] = [0, 0]
  return Array.from({ length: steps.length / 2 }, (_, i) => {
    ;[x, y] = [x + steps[2 * i], y + steps[2 * i + 1]]
    return [x / GRAIN, y / GRAIN]
  })
}

/** A view with a name. */
export interface NamedView {
  name: string
  link: string
}

/** Those of some views from outside that are views: a name and a link that says something. */
export const checkedViews = (views: unknown): NamedView[] =>
  Array.isArray(views) ? views.filter(isView).slice(0, 200) : []

function isView(value: unknown): value is NamedView {
  const view = value as NamedView
  return (
    typeof view?.name === 'string' &&
    typeof view.link === 'string' &&
    Object.keys(readLink(view.link)).length > 0
  )
}

/** Those of some regions from outside that are regions: names are text, outlines are finite numbers. */
export function checkedRegions(regions: unknown): Region<Stroke>[] {
  return Array.isArray(regions) ? regions.filter(isRegion).slice(0, 200) : []
}

function isRegion(value: unknown): value is Region<Stroke> {
  const region = value as Region<Stroke>
  return (
    typeof region?.name === 'string' &&
    typeof region.map === 'string' &&
    Array.isArray(region.strokes) &&
    region.strokes.every(isStroke)
  )
}

const isStroke = (stroke: Stroke): boolean =>
  OPERATIONS.includes(stroke?.operation) &&
  Array.isArray(stroke.outline) &&
  stroke.outline.every((at) => Array.isArray(at) && at.length === 2 && at.every(Number.isFinite))

function toBase64url(text: string): string {
  const binary = Array.from(new TextEncoder().encode(text), (byte) =>
    String.fromCharCode(byte),
  ).join('')
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

function fromBase64url(text: string): string {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return new TextDecoder('utf-8', { fatal: true }).decode(
    Uint8Array.from(binary, (c) => c.charCodeAt(0)),
  )
}
