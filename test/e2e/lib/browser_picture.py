"""The picture of a video element as grey values: JavaScript that takes it, and what reads the answer."""
import base64

import numpy as np

# pictureTaker(width, height)(video) -> [when it was taken, ms since the epoch; its grey values in Base64]
PICTURE_TAKER = """
function pictureTaker(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  return (video) => {
    context.drawImage(video, 0, 0, width, height);
    const at = Date.now();
    const {data} = context.getImageData(0, 0, width, height);
    let text = '';
    for (let i = 0; i < data.length; i += 4)
      text += String.fromCharCode((data[i] * 77 + data[i + 1] * 150 + data[i + 2] * 29) >> 8);
    return [at, btoa(text)];
  };
}
"""


def grey_values(text, width, height):
    """-> array of height rows, from a picture's Base64."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width)
