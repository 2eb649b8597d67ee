-- The three tables of the pipeline's database that contain the posts of users.
CREATE TABLE pinterest_data (
  `index` INT NOT NULL PRIMARY KEY,
  unique_id TEXT,
  title TEXT,
  description TEXT,
  poster_name TEXT,
  follower_count TEXT,
  tag_list TEXT,
  is_image_or_video TEXT,
  image_src TEXT,
  downloaded INT,
  save_location TEXT,
  category TEXT
);

CREATE TABLE geolocation_data (
  ind INT NOT NULL PRIMARY KEY,
  timestamp DATETIME,
  latitude DOUBLE,
  longitude DOUBLE,
  country TEXT
);

CREATE TABLE user_data (
  ind INT NOT NULL PRIMARY KEY,
  first_name TEXT,
  last_name TEXT,
  age INT,
  date_joined DATETIME
);
