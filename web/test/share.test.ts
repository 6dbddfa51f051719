import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import type { Manifest } from '../src/core/manifest'
import {
  bibtex,
  fileName,
  items,
  pythonDecode,
  pythonSelection,
  toCSV,
  toJSON,
  withState,
} from '../src/core/share'

const manifest = {
  run: 'runs/pa"per\\1',
  title: 'A 50 % {net} & more',
  version: '0.2.0',
  created: '2026-11-22T10:00:00Z',
  data: {
    name: 'fashion-mnist',
    title: 'Fashion-MNIST',
    classes: ['T-shirt, "top"', 'Bag'],
    train: 2,
    test: 2,
    shape: [1, 28, 28],
  },
  model: { latent: 2, epochs: 20, seed: 0, parts: { network: 'conv', objective: 'elbo(beta=1)' } },
} as unknown as Manifest
const rows = items(manifest, [1, 2], Float32Array.of(0, 0, 0.1, -2, 1e-9, 3, 9, 9), [0, 0, 1, 1])

test('items know their split and their place in it', () => {
  expect(rows.map(({ id, split, label, class: name }) => [id, split, label, name])).toEqual([
    [1, 'train', 0, 'T-shirt, "top"'],
    [0, 'test', 1, 'Bag'],
  ])
  expect(rows[0].z).toEqual([0.1, -2])
})

test('CSV quotes what it must', () => {
  expect(toCSV(rows)).toBe(
    'id,split,label,class,z0,z1\r\n1,train,0,"T-shirt, ""top""",0.1,-2\r\n0,test,1,Bag,1e-9,3\r\n',
  )
  expect(toCSV(items(manifest, [0], Float32Array.of(0, 0)))).toContain('0,train,,,0,0')
})

test('names that a spreadsheet would run are text, and negative numbers stay numbers', () => {
  const named = (name: string) => toCSV([{ id: 0, split: 'train', label: 0, class: name, z: [-1] }])
  expect(named('=HYPERLINK("http://x")')).toContain(`0,train,0,"'=HYPERLINK(""http://x"")",-1\r\n`)
  for (const name of ['+1', '-1', '@SUM(A1)', '\tx'])
    expect(named(name)).toContain(`0,train,0,'${name},-1\r\n`)
})

test('JSON says where it comes from', () => {
  expect(JSON.parse(toJSON(manifest, 'mine', rows))).toMatchObject({
    name: 'mine',
    run: 'runs/pa"per\\1',
    items: [{ id: 1 }, { id: 0 }],
  })
})

test('the Python is Python', { timeout: 60_000 }, () => {
  const codes = [
    pythonDecode(manifest, [
      [0.1, -2],
      [1, 2],
    ]),
    pythonSelection(manifest, 'a"b.json'),
  ]
  const parse = 'import ast, sys; [ast.parse(code) for code in sys.argv[1:]]'
  execFileSync('python3', ['-I', '-S', '-c', parse, ...codes])
  expect(pythonDecode(manifest, [[0]])).toContain(String.raw`Study.load("runs/pa\"per\\1")`)
})

test('the Python of a conditional decoder names the class', () => {
  const told = { ...manifest, model: { ...manifest.model, conditional: 2 } }
  expect(pythonDecode(told, [[0, 1]], 1)).toContain('study.decode(torch.tensor([[0, 1]]), 1)')
  expect(pythonDecode(manifest, [[0, 1]], 1)).toContain('study.decode(torch.tensor([[0, 1]]))')
})

test('the citation is BibTeX whatever the names', () => {
  const text = bibtex(manifest)
  expect(text).toMatch(/^@misc\{vaescape-runs-pa-per-1,\n/)
  expect(text).toContain(String.raw`title = {{A 50 \% \{net\} \& more}},`)
  const open = text.replaceAll(/\\[{}]/g, '')
  expect(open.split('{').length).toBe(open.split('}').length)
})

test('a view is put into the page once, whatever its names', () => {
  const page =
    '<html>\n<script type="application/octet-stream;base64" id="program">x</script><!-- blobs --></html>'
  const view = { r: [{ name: '</script><script>$& alert(1)', map: 'latent', strokes: [] }] }
  const once = withState(page, { x: 1 })
  const twice = withState(once, view)
  expect(twice.match(/id="state"/g)).toHaveLength(1)
  expect(twice.match(/<\/script>/g)).toHaveLength(2)
  const text = /id="state">(.*)<\/script>\n<script/.exec(twice)![1]
  expect(JSON.parse(text)).toEqual(view)
})

test('file names hold no signs', () => {
  expect(fileName(['runs/paper', 'T-shirt/top', '../β'], 'csv')).toBe(
    'runs-paper-T-shirt-top-β.csv',
  )
  expect(fileName(['///'], 'png')).toBe('vaescape.png')
})
