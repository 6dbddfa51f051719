/**
 * For an element under a finger that scrolls nothing: a browser that took a drag on it for a fling
 * would swallow the tap after it, wherever that is. Where taps are told by clicks, `drags` says
 * whether the finger has left its place, for a touch that was prevented ends without a click.
 */
export function noFling(element: HTMLElement, drags: () => boolean = () => true): void {
  element.addEventListener('touchmove', (event) => drags() && event.preventDefault(), { passive: false })
}
