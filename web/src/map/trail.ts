/** The way of an image through the training: what is behind it strong, what is to come faint. */

import { toScreen, type View } from '../core/view'
import type { Film } from '../state/film.svelte'
import { outlined, ring, trace, type Context } from './pen'

export const drawTrail = (film: Film) => (context: Context, view: View): void => {
  if (!film.followed) return
  const way = film.followed.trail.map(([u, v]) => toScreen(view, u, v))
  trace(context, way.slice(film.at))
  outlined(context, 'rgb(255 255 255 / 0.35)', 2, [], 'rgb(0 0 0 / 0.28)')
  trace(context, way.slice(0, film.at + 1))
  outlined(context, '#ffffff', 2)
  ring(context, ...way[film.at], 8, '#ffffff', 2.5)
}
