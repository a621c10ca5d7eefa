/** CRC-32 as of zlib and PNG: the remainder mod x³²+x²⁶+x²³+x²²+x¹⁶+x¹²+x¹¹+x¹⁰+x⁸+x⁷+x⁵+x⁴+x²+x+1, bits reflected. RFC 1952 */
export function crc32(bytes: Uint8Array, before = 0): number {
  const byByte = (table ??= remainders());
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = byByte[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Made by the first use: it takes a millisecond, for which an import is not to wait. */
let table: Int32Array | undefined;

function remainders(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
    return remainder;
  });
}
