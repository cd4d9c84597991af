// Files in one ZIP archive, stored as they are (PNG is compressed already): a picture and what is said of it stay
// together.

export async function zip(files, when) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const named = new TextEncoder().encode(name);
    const time = (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
    const day = ((when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
    // Version 2.0, names in UTF-8, stored.
    const shared = [[2, 20], [2, 0x0800], [2, 0], [2, time], [2, day], [4, crc32(bytes)], [4, bytes.length],
      [4, bytes.length], [2, named.length], [2, 0]];
    directory.push(packed([4, 0x02014b50], [2, 20], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), named);
    parts.push(packed([4, 0x04034b50], ...shared), named, bytes);
    offset += 30 + named.length + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = [2, files.length];
  const end = packed([4, 0x06054b50], [2, 0], [2, 0], count, count, [4, length], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

// Little-endian numbers of two or four bytes.
function packed(...fields) {
  return Uint8Array.from(fields.flatMap(([width, value]) =>
    Array.from({ length: width }, (_, n) => (value >>> (8 * n)) & 0xff)));
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc32(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (rest >>> 8) ^ CRC[(rest ^ byte) & 0xff];
  return (rest ^ 0xffffffff) >>> 0;
}
