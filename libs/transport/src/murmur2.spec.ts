import { describe, expect, it } from '@jest/globals';
import { murmur2, partitionOfKey } from './murmur2.js';

/*
 * Key in hex, murmur2, and the partition of 3, 6 and 12. Made by the Java client of Apache Kafka 4.3.1:
 *
 *   int hash = org.apache.kafka.common.utils.Utils.murmur2(key);
 *   int positive = org.apache.kafka.common.utils.Utils.toPositive(hash);
 *   System.out.println("['" + java.util.HexFormat.of().formatHex(key) + "', " + hash + ", "
 *       + positive % 3 + ", " + positive % 6 + ", " + positive % 12 + "],");
 *
 * over java.util.Random(42) keys of 0 to 40 bytes, texts, bytes at the edges of the sign, and one of 257 bytes
 * (`java -cp 'lib/*' Vectors.java` with kafka-clients on the class path).
 */
// prettier-ignore
const vectors: readonly (readonly [string, number, number, number, number])[] = [
  ['', 275646681, 0, 3, 9],
  ['35', 55100550, 0, 0, 6],
  ['f78a', 1288432276, 1, 4, 4],
  ['e1bbe7', -983584298, 0, 0, 6],
  ['28c0450c', -392157833, 0, 3, 3],
  ['e43c084f4b', 650222576, 2, 2, 8],
  ['839dee466d85', 609540322, 1, 4, 10],
  ['be6a61aa9a0c61', -2055415863, 2, 5, 5],
  ['bd6743e7dc978573', 496582918, 1, 4, 10],
  ['998e685e885cb361f8', -2143606509, 2, 5, 11],
  ['20bebfb01100b2765457', 1749477346, 1, 4, 10],
  ['0f406cc8e3a188fff11059', 239636182, 1, 4, 10],
  ['6fbce62655dfbd6f83b89670', -715584511, 1, 1, 1],
  ['d6d9f9bf52d83deedc0bf66205', 1343331766, 1, 4, 10],
  ['16ad682d8c478a26f45027984959', 434214673, 1, 1, 1],
  ['dd53b3351a572b40f27f72d37f347b', -221833639, 1, 1, 1],
  ['9979162cfa959d2832a46196d92c3046', 1156755985, 1, 1, 1],
  ['97e953c0026cc4a45eb32f92829e8d14ee', 963358898, 2, 2, 2],
  ['edc93517ef7da4c0ce2972cc9b060b08b646', -2060683994, 0, 0, 6],
  ['f3a3a05bb102f732ed235bd1283ed5021192ed', 1371039565, 1, 1, 1],
  ['754300c523675af9b6c4a514cacaa1b6a7367388', 2095085038, 1, 4, 10],
  ['53ee067b87849adf0100aa4a52cc32388c082af3d5', 1894527541, 1, 1, 1],
  ['bcc00bd26fae51303f23fba277b4e0602cbf7e5e9ba8', -853930442, 0, 0, 6],
  ['daa9395cbb3cb06feaf2456f0a5717a6b5bb127579092b', -273274790, 0, 0, 6],
  ['831b0279bb5070f331dc11786481868c3667cbd3ed409109', -297435578, 0, 0, 6],
  ['1e01aa26a3d1750dfb4178d5d1a3e2c95da3d6759f5be1c2c7', 525227248, 1, 4, 4],
  ['801aa2a1c6b52a321eac46580edde42d2e8a65f64ba69ddd914f', -2088283788, 2, 2, 8],
  ['8934917ca07a548c5dcdc46ba917160239c103a2db67f4c18eef29', -1836837953, 0, 3, 3],
  ['2fa68ba1aa5db9501dfbfb1177b555921451ec577ca9fa5e105f6c4a', 2061413336, 2, 2, 8],
  ['db3d2fdfc7b360271f6244ce3d236f400c2ec09dc6814b62dd03d65fbe', -1741989593, 0, 3, 3],
  ['8de47eb2786e90251df79ae83722a44af8b13632383ec12be5cd22cf0719', -1042877531, 0, 3, 9],
  ['223cc0a0b454e2c7a055a176b9593aa87c6f3a4e7854b9ff2181378ac08dc8', 1740772671, 0, 3, 3],
  ['bba296a2c5a3adb1e76e522063b8ba17bbd0507fa7ea6bcaa20ffe06f6b4a9ab', -671788112, 0, 0, 0],
  ['a00c570946defa77f530dd7b4ae498753e94b1a77bed00447df0506566bdc778ba', 248639362, 1, 4, 10],
  ['a6a2df2212db756276353fd171756fa5bece42fa4c3c3dc50333b9b318fddfe4a9d1', 1322979309, 0, 3, 9],
  ['49624d996480af482365ddf9cd937a9dacd9bb1373f1425c6a4f6ec6e604d75de8e560', 268334547, 0, 3, 3],
  ['84b082fa0a5232e619344f2ebdb9b35f93e6a6eb894d6a6e4955094702341355bc3251cd', -485594634, 2, 2, 2],
  ['3d81ad50aa47c2cba5245771efa41820ed01b11893718265f05dc2bee32fcee2b876bd2b97', 971454130, 1, 4, 10],
  ['0d162ece4ac6414a3540c923d50450f0cc5ccb1747971f4cdb6deb068f9218a9a2a95f8c1c1e', 996448918, 1, 4, 10],
  ['a3253e48f96cac67f4c5adf728f93cfceb618de7539f08e695970c580fbcc7ba9d29990339c14a', -1120572977, 0, 3, 3],
  ['8d8f41cf3a315f0490a680853957974d1cc1ccd582be528f2ebe5d95a628ad6cfee430b027e1cadd', 782412968, 2, 2, 8],
  ['61', -1563381124, 1, 4, 4],
  ['6162', 316155434, 2, 2, 2],
  ['616263', 479470107, 0, 3, 3],
  ['61626364', -1323649548, 2, 2, 8],
  ['6f726465722d31', 1221710326, 1, 4, 10],
  ['6f726465722d3432', 501153024, 0, 0, 0],
  ['30313938663264342d336331652d373030302d383030302d356631643263336234613539', -1853813243, 0, 3, 9],
  ['4dc3bc6c6c6572', -1790669443, 1, 1, 1],
  ['e697a5e69cac', -700811021, 0, 3, 3],
  ['f09f9a82', -2011693287, 2, 5, 5],
  ['00', 375494588, 2, 2, 8],
  ['0000', 595382058, 0, 0, 6],
  ['000000', 1013532917, 2, 5, 5],
  ['00000000', 850957120, 1, 4, 4],
  ['0000000000', 263274959, 2, 5, 11],
  ['00000000000000', 1067877175, 1, 1, 7],
  ['7f', 21296028, 0, 0, 0],
  ['7f7f', -319825496, 0, 0, 0],
  ['7f7f7f', 1717093922, 2, 2, 2],
  ['7f7f7f7f', -1042625877, 2, 5, 11],
  ['7f7f7f7f7f', 373663928, 2, 2, 8],
  ['7f7f7f7f7f7f7f', -277895767, 1, 1, 1],
  ['80', 857690492, 2, 2, 8],
  ['8080', -1145267538, 2, 2, 2],
  ['808080', -1134684817, 1, 1, 7],
  ['80808080', -95523324, 2, 2, 8],
  ['8080808080', -1525148316, 2, 2, 8],
  ['80808080808080', -1845943597, 1, 1, 7],
  ['ff', -311467685, 0, 3, 3],
  ['ffff', -1642832928, 2, 2, 8],
  ['ffffff', 1548199422, 0, 0, 6],
  ['ffffffff', 644171429, 2, 5, 5],
  ['ffffffffff', -363838622, 0, 0, 6],
  ['ffffffffffffff', -71293549, 1, 1, 7],
  ['56106f8eab9ef77aefcca11d06f5884f8280a896a2807f13700b28e50bbb7fe32cad60a0a6a13aa9cbd3f061e352c9b46df953e76653309755566dd5f69b9625e70c9c423cb2f101f31c55f69431ffa3e5edc4657d1e42d4de2bd3926d76586fc01917421277bdf1aaea5dd246632de4843fc0a847e90e218319369dea0c58b0d280fa7ce2692435ba56895c5e155933075decbc772bf8fe7ff8f8da577c18f89daaf956faa54a81f03e0ec2f082fe17d142e0b996033d825222318297960adb864381c6bc0665c59d414760487779a8690be2dc7ebdf0203db574b2fe0ceb665454fe281c96010317cad0cc65a00b85f70fb7b9dfa8cb6ec9e87ccbd36acbc3b5', 1597173392, 2, 2, 8],
];

describe('murmur2', () => {
  it('hashes keys of every length and sign as the Java client does', () => {
    expect(vectors.map(([hex]) => murmur2(Buffer.from(hex, 'hex')))).toEqual(vectors.map(([, hash]) => hash));
  });

  it('gives a key the partition that the Java client gives it, for counts that are no powers of two', () => {
    for (const [column, partitions] of [3, 6, 12].entries()) {
      const ours = vectors.map(([hex]) => partitionOfKey(Buffer.from(hex, 'hex'), partitions));
      expect(ours).toEqual(vectors.map((vector) => vector[2 + column]));
    }
  });

  it('reads a slice of a larger buffer from its own beginning', () => {
    const inside = Buffer.from('xxorder-42yy').subarray(2, 10);
    expect(murmur2(inside)).toBe(murmur2(Buffer.from('order-42')));
  });
});
