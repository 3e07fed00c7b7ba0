"""The benchmark: ltokc beside JPEG, WebP, AVIF and JPEG XL on the same pixels, whole files counted.

python -m bench.run --images DIR --out results.json      rate-distortion curves and BD-rates
python -m bench.plot results.json --out curves.png       plots of them
python -m bench.sidebyside --image X --bytes N --out X.png    the codecs at equal bytes, to look at
python -m bench.report --images DIR --out X.html        a page to look at, every rival at equal bytes
python -m bench.exactness --images DIR --out exactness.json   the same tokens from every coder, runtime and prior
python -m bench.speed --out speed.json                   times and memory, as ratios to WebP and AVIF
"""
