/** What leaves the page as text: tables, Python, a citation, and the page itself with its state in it. */

import type { Manifest } from './manifest'
import type { NamedView, SavedView } from './link'
import type { Numbers } from './rows'

/** One image of the data in an export. */
export interface Item {
  /** Position in its split, as in the data set. */
  id: number
  split: 'train' | 'test'
  label: number | null
  class: string | null
  z: number[]
}

/** Items by point number: the training split comes first. */
export function items(
  manifest: Manifest,
  points: Numbers,
  latents: Float32Array,
  labels?: Numbers,
): Item[] {
  const { train, classes } = manifest.data
  const dims = manifest.model.latent
  return Array.from(points, (point) => ({
    id: point < train ? point : point - train,
    split: point < train ? ('train' as const) : ('test' as const),
    label: labels ? labels[point] : null,
    class: labels ? (classes[labels[point]] ?? null) : null,
    z: Array.from(latents.subarray(point * dims, (point + 1) * dims), (v) =>
      Number(v.toPrecision(6)),
    ),
  }))
}

/** The items as comma-separated values (RFC 4180), one line each after the names of the columns. */
export function toCSV(rows: readonly Item[]): string {
  const dims = rows[0]?.z.length ?? 0
  const names = [
    'id',
    'split',
    'label',
    'class',
    ...Array.from({ length: dims }, (_, d) => `z${d}`),
  ]
  const lines = rows.map(({ id, split, label, class: name, z }) => [
    id,
    split,
    label ?? '',
    name ?? '',
    ...z,
  ])
  return [names, ...lines].map((line) => line.map(cell).join(',')).join('\r\n') + '\r\n'
}

/** A spreadsheet takes text that begins with one of these for a formula, and runs it: an apostrophe prevents that. */
const FORMULA = /^[=+\-@\t\r]/

function cell(value: string | number): string {
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** The items and where they come from, as JSON that Python's json reads. */
export const toJSON = (manifest: Manifest, name: string, rows: readonly Item[]): string =>
  JSON.stringify({ name, run: manifest.run, data: manifest.data.name, items: rows }, null, 1)

/** A text as a Python string literal; JSON's escapes are Python's. */
const quoted = (text: string): string => JSON.stringify(text)

const tensor = (z: readonly Numbers[]): string =>
  `torch.tensor([${z.map((point) => `[${Array.from(point, (v) => Number(v.toPrecision(6))).join(', ')}]`).join(', ')}])`

/** Python that decodes these latents with the run's model, as a class where it is told one. */
export const pythonDecode = (
  manifest: Manifest,
  latents: readonly Numbers[],
  condition = 0,
): string =>
  [
    'import torch',
    'from vaescape import Study',
    '',
    `study = Study.load(${quoted(manifest.run)})`,
    `images = study.decode(${tensor(latents)}${manifest.model.conditional ? `, ${condition}` : ''})`,
    '',
  ].join('\n')

/** Python that reads the latents of a selection back. */
export const pythonSelection = (manifest: Manifest, file: string): string =>
  [
    'import json',
    'from pathlib import Path',
    'from vaescape import Study',
    '',
    `study = Study.load(${quoted(manifest.run)})`,
    `items = json.loads(Path(${quoted(file)}).read_text(encoding="utf-8"))["items"]`,
    'test = study.test[[item["id"] for item in items if item["split"] == "test"]]',
    '',
  ].join('\n')

/** Python that reads back the regions that a live page left in the run. */
export const pythonRegions = (manifest: Manifest, name: string): string =>
  [
    'from vaescape import Study, regions',
    '',
    `study = Study.load(${quoted(manifest.run)})`,
    `chosen = regions(study)[${quoted(name)}]`,
    'test = study.test[chosen["test"]]',
    '',
  ].join('\n')

/** A BibTeX entry for the run: names from data are text, so braces and backslashes are written as such. */
export function bibtex(manifest: Manifest): string {
  const { model, data, run, created, version, title } = manifest
  const parts = Object.values(model.parts).join(', ')
  const fields = [
    ['title', `{${latex(title)}}`],
    [
      'note',
      latex(
        `${parts}; ${model.latent} latent dimensions, ${model.epochs} epochs, seed ${model.seed}, on ${data.title}`,
      ),
    ],
    ['howpublished', latex(`Latent-space explorer of run ${run}, vaescape ${version}`)],
    ['year', created.slice(0, 4)],
  ]
  const key = run.replace(/[^A-Za-z0-9-]+/g, '-').replace(/^-|-$/g, '')
  return `@misc{vaescape-${key},\n${fields.map(([name, value]) => `  ${name} = {${value}},`).join('\n')}\n}\n`
}

const latex = (text: string): string =>
  text.replace(
    /[\\{}&%$#_~^]/g,
    (c) => ({ '\\': '\\textbackslash ', '~': '\\~{}', '^': '\\^{}' })[c] ?? `\\${c}`,
  )

const PROGRAM = '<script type="application/octet-stream;base64" id="program">'
/** The state right before the program, which reads it at once. */
const STATE = /<script type="application\/json" id="state">[^<]*<\/script>\n$/

/**
 * The page's own text with a view in it, before the program. `html` is the document as loaded,
 * blobs and all.
 */
export function withState(html: string, view: SavedView & { views?: readonly NamedView[] }): string {
  const at = html.indexOf(PROGRAM)
  const json = JSON.stringify(view).replaceAll('<', '\\u003c')
  const state = `<script type="application/json" id="state">${json}</script>\n`
  return html.slice(0, at).replace(STATE, '') + state + html.slice(at)
}

/** A name for a file out of names from data: letters and digits of any script, joined by hyphens. */
export const fileName = (parts: readonly string[], ending: string): string => {
  const words = parts
    .join(' ')
    .normalize('NFC')
    .match(/[\p{L}\p{M}\p{N}]+/gu) ?? ['vaescape']
  return `${words.join('-').slice(0, 80)}.${ending}`
}
