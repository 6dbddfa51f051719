// Unpacks the program and runs it, while the browser is still reading what comes after.
;(async () => {
  const packed = Uint8Array.from(atob(document.getElementById('program').textContent), (c) => c.charCodeAt(0))
  const unpacked = new Response(packed).body.pipeThrough(new DecompressionStream('gzip'))
  const script = document.createElement('script')
  script.textContent = await new Response(unpacked).text()
  document.head.append(script)
  script.remove()
})().catch((error) => {
  document.getElementById('app').textContent = `This browser cannot open the page: ${error}`
})
