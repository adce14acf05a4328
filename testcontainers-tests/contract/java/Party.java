// Reads with arrow-java: java -cp 'JARS/*' Party.java IN

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.*;
import org.apache.arrow.vector.complex.*;
import org.apache.arrow.vector.dictionary.Dictionary;
import org.apache.arrow.vector.dictionary.DictionaryProvider;
import org.apache.arrow.vector.ipc.ArrowFileReader;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.DictionaryEncoding;
import org.apache.arrow.vector.util.ByteArrayReadableSeekableByteChannel;

public class Party {
  static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws Exception {
    say(Map.of("version", ArrowType.class.getPackage().getImplementationVersion()));
    List<Path> files = new ArrayList<>();
    try (var folder = Files.newDirectoryStream(Path.of(args[0]))) {
      folder.forEach(files::add);
    }
    for (Path file : files) {
      String name = file.getFileName().toString();
      try {
        say(Map.of("file", name, "values", read(file)));
      } catch (Exception | LinkageError | AssertionError error) {
        say(Map.of("file", name, "error", error.toString()));
      }
    }
  }

  static void say(Object line) throws Exception {
    System.out.println(JSON.writeValueAsString(line));
  }

  static List<Object> read(Path file) throws Exception {
    byte[] payload = Files.readAllBytes(file);
    var codecs = CommonsCompressionFactory.INSTANCE;
    List<Object> values = new ArrayList<>();
    try (BufferAllocator allocator = new RootAllocator();
        ArrowReader reader =
            file.toString().endsWith(".arrow")
                ? new ArrowFileReader(new ByteArrayReadableSeekableByteChannel(payload), allocator, codecs)
                : new ArrowStreamReader(new ByteArrayInputStream(payload), allocator, codecs)) {
      while (reader.loadNextBatch()) {
        values.addAll(canonical(reader.getVectorSchemaRoot().getVector(1), reader));
      }
    }
    return values;
  }

  /** The values of a vector as contract/README.md writes them. */
  static List<Object> canonical(FieldVector vector, DictionaryProvider dictionaries) throws Exception {
    List<Object> values = new ArrayList<>();
    DictionaryEncoding encoding = vector.getField().getDictionary();
    List<Object> words = null;
    if (encoding != null) {
      Dictionary dictionary = dictionaries.lookup(encoding.getId());
      words = canonical(dictionary.getVector(), dictionaries);
    }
    List<List<Object>> children = new ArrayList<>();
    for (FieldVector child : vector.getChildrenFromFields()) {
      children.add(canonical(child, dictionaries));
    }
    for (int i = 0; i < vector.getValueCount(); i++) {
      if (vector.isNull(i)) {
        values.add(null);
      } else if (words != null) {
        values.add(words.get((int) ((BaseIntVector) vector).getValueAsLong(i)));
      } else {
        values.add(value(vector, i, children));
      }
    }
    return values;
  }

  static Object value(FieldVector vector, int i, List<List<Object>> children) {
    ArrowType type = vector.getField().getType();
    if (vector instanceof MapVector map) {
      List<Object> pairs = new ArrayList<>();
      for (Object entry : children.get(0).subList(map.getElementStartIndex(i), map.getElementEndIndex(i))) {
        pairs.add(new ArrayList<>(((Map<?, ?>) entry).values()));
      }
      return pairs;
    } else if (vector instanceof ListVector list) {
      return children.get(0).subList(list.getElementStartIndex(i), list.getElementEndIndex(i));
    } else if (vector instanceof LargeListVector list) {
      return children.get(0).subList((int) list.getElementStartIndex(i), (int) list.getElementEndIndex(i));
    } else if (vector instanceof FixedSizeListVector list) {
      return children.get(0).subList(i * list.getListSize(), (i + 1) * list.getListSize());
    } else if (vector instanceof StructVector struct) {
      Map<String, Object> fields = new LinkedHashMap<>();
      for (int j = 0; j < children.size(); j++) {
        fields.put(struct.getChildrenFromFields().get(j).getName(), children.get(j).get(i));
      }
      return fields;
    } else if (vector instanceof Float2Vector halves) {
      return hexOfFloat(halves.getValueAsFloat(i));
    } else if (vector instanceof DateDayVector days) {
      return Long.toString(days.get(i) * 86_400L);
    } else if (vector instanceof DateMilliVector times) {
      return scaled(times.get(i), 3);
    } else if (type instanceof ArrowType.Timestamp kind) {
      return scaled(((TimeStampVector) vector).get(i), 3 * kind.getUnit().ordinal());
    } else if (type instanceof ArrowType.Time kind) {
      // Its own getter makes a LocalDateTime of one of the four.
      long number = kind.getBitWidth() == 32
          ? vector.getDataBuffer().getInt(4L * i) : vector.getDataBuffer().getLong(8L * i);
      return scaled(number, 3 * kind.getUnit().ordinal());
    } else if (type instanceof ArrowType.Duration kind) {
      long number = DurationVector.get(vector.getDataBuffer(), i);
      return scaled(number, 3 * kind.getUnit().ordinal());
    }
    Object value = vector.getObject(i);
    if (value instanceof Boolean) {
      return value;
    } else if (value instanceof byte[] bytes) {
      return HexFormat.of().formatHex(bytes);
    } else if (value instanceof Float || value instanceof Double) {
      return hexOfFloat(((Number) value).doubleValue());
    } else if (value instanceof BigDecimal decimal) {
      return shown(decimal);
    } else if (type instanceof ArrowType.Int kind && !kind.getIsSigned()) {
      // Java has no unsigned integers but one of 16 bits, a character.
      int width = kind.getBitWidth();
      long bits = value instanceof Character c ? c : ((Number) value).longValue();
      return Long.toUnsignedString(width == 64 ? bits : bits & ((1L << width) - 1));
    } else {
      // Integers and text.
      return value.toString();
    }
  }

  /** 1050 with 3 digits after the point is 1.05. */
  static String scaled(long number, int digits) {
    return shown(new BigDecimal(BigInteger.valueOf(number), digits));
  }

  static String shown(BigDecimal number) {
    return number.signum() == 0 ? "0" : number.stripTrailingZeros().toPlainString();
  }

  static String hexOfFloat(double number) {
    return Double.isNaN(number) ? "nan" : String.format("%016x", Double.doubleToRawLongBits(number));
  }
}
