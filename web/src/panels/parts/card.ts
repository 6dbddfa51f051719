/** A card of what is seen: the map, and the film of the morph. */

import { CARD, drawCard, mapOn } from '../../core/card'
import type { Film } from '../../core/media'
import { fit, type Box } from '../../core/view'
import { brief, whole } from '../../core/words'
import { drawStill } from '../../map/opening'
import type { Explorer } from '../../state/explorer.svelte'
import { morphOf } from '../../state/morph.svelte'
import { Opening } from '../../state/opening.svelte'

/** "From Sandal to Bag". */
export const wayOf = (names: readonly string[] | null): string =>
  names ? `From ${names[0]} to ${names[1]}` : 'From A to B'

/** Draws it on a canvas of its own. Without a morph, its film leads between the two classes farthest apart. */
export async function card(explorer: Explorer): Promise<HTMLCanvasElement> {
  const { surface, manifest, points } = explorer
  const { shape } = manifest.data
  const morph = morphOf(explorer)
  const opening = new Opening(explorer)
  let film: Film | null = null
  let names = morph.names
  let undraw = (): void => {}
  const chosen = morph.ways[morph.kind]
  if (chosen) film = { frames: chosen.frames, shape }
  else if (explorer.continuous && explorer.networks.state === 'ready') {
    await opening.begin()
    if (opening.frames.length) {
      film = { frames: opening.frames, shape }
      names = opening.names
      undraw = surface.addDraw(drawStill(explorer, opening))
    }
  }
  const { height, insets } = mapOn(film !== null)
  const view = fit(boxOf(explorer), CARD.width, height, insets)
  const map = await surface.paint!(1, { view }).finally(undraw)
  const figure = manifest.figures[0]
  const canvas = document.createElement('canvas')
  drawCard(canvas.getContext('2d')!, map, film, {
    title: manifest.title,
    line: [
      `${whole(points.total)} images`,
      `${points.D} latent dimension${points.D === 1 ? '' : 's'}`,
      ...(figure ? [`${figure.name} ${brief(figure.value)} ${figure.unit}`] : []),
    ].join(' · '),
    strip: film ? `${wayOf(names)}: every picture is decoded from a point of the latent space` : '',
  })
  return canvas
}

/** The part of the plane that is in sight between the panels. */
function boxOf({ viewport, planes }: Explorer): Box {
  const { view, insets, fitted } = viewport
  if (fitted) return planes.home
  const [left, top] = viewport.toPlane(insets.left, insets.top)
  const [right, bottom] = viewport.toPlane(view.width - insets.right, view.height - insets.bottom)
  return { x: [left, right], y: [bottom, top] }
}
